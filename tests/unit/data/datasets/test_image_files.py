"""Behavior shared by all image datasets, with a minimal dataset."""

import numpy as np
import pytest
from imagekit import numbers, write_png

from traiNNer.data.datasets.image_files import MOST_IN_A_ROW, ImageFiles, folders
from traiNNer.data.files.options import FileOptions
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import ImageError, read_header

RNG = np.random.default_rng(0)


class Files(ImageFiles):
    """GT files whose LQ is every second pixel; `damaged` ones cannot be read."""

    def __init__(self, root, count=4, gt_roots=None, **files) -> None:
        super().__init__(2, [root] if gt_roots is None else gt_roots or None, FileOptions(**files))
        self.paths = [root / f"{number}.png" for number in range(count)]
        self.damaged: set[int] = set()
        self.asked: list[int | None] = []
        self.is_broken = False

    def _scan(self, crop):
        self.asked.append(crop)
        scan = Scan("set", notices=["a notice"])
        if self.is_broken:
            scan.add("odd", "files")
        for path in self.paths:
            scan.pairs.append(Pair(path.stem, None, path))
            scan.headers[path] = read_header(path)
        return scan

    def _crop(self, pair, side, rng):
        lq, gt = self._whole(pair)
        return lq[:side, :side], gt[: 2 * side, : 2 * side]

    def _whole(self, pair):
        if int(pair.key) in self.damaged:
            raise ImageError(pair.gt, "is damaged")
        gt = self._image(pair.gt)
        return gt[::2, ::2], gt

    def _lq_shape(self, pair):
        header = self._headers[pair.gt]
        return header.height // 2, header.width // 2


@pytest.fixture
def root(tmp_path):
    for number in range(4):
        write_png(tmp_path / f"{number}.png", numbers(8 + 2 * number, 12, 3, seed=number))
    return tmp_path


def opened(root, purpose="train", **files) -> Files:
    made = Files(root, **{"gt_size": 4} | files)
    made.open(purpose, "datasets.train")
    return made


def test_opening_checks_the_training_crop_and_returns_notices(root):
    made = Files(root, gt_size=5)
    assert made.open("train", "x") == ["a notice"]
    made.open("val", "x")
    assert made.asked == [2, None]
    assert len(made) == 4


def test_training_needs_ground_truth_and_a_crop(root):
    with pytest.raises(DataError, match=r"^set: training needs lq_size \(or gt_size\)$"):
        Files(root).open("train", "set")
    with pytest.raises(DataError, match=r"^set: training needs dataroot_gt$"):
        Files(root, gt_roots=[], lq_size=2).open("train", "set")
    Files(root).open("val", "set")


def test_broken_dataset_is_not_opened(root):
    made = Files(root, gt_size=4)
    made.is_broken = True
    with pytest.raises(DataError, match="this set cannot be used"):
        made.open("train", "set")
    assert len(made) == 0


def test_sample_is_the_augmented_crop(root):
    gt = numbers(8, 12, 3, seed=0)
    plain = opened(root, use_hflip=False, use_rot=False).sample(0, RNG)
    assert np.array_equal(plain.gt, gt[:4, :4])
    assert np.array_equal(plain.lq, gt[:4:2, :4:2])
    assert plain.key == "0"
    turning, rng = opened(root), np.random.default_rng(1)
    seen = {turning.sample(0, rng).gt.tobytes() for _ in range(60)}
    corner = gt[:4, :4]
    turns = [np.rot90(image, count) for image in (corner, corner[:, ::-1]) for count in range(4)]
    assert seen == {np.ascontiguousarray(turn).tobytes() for turn in turns}


def test_damaged_image_is_replaced_by_the_next_good_one_cyclically(root):
    made = opened(root)
    made.damaged = {3, 0}
    sample = made.sample(3, RNG)
    assert sample.key == "1"
    assert sample.skipped == (f"{root / '3.png'} (is damaged)", f"{root / '0.png'} (is damaged)")
    assert made.sample(2, RNG).skipped == ()


def test_nothing_readable_ends_the_run(root, monkeypatch):
    made = opened(root)
    made.damaged = {0, 1, 2, 3}
    with pytest.raises(DataError, match=r"datasets.train: 4 images in a row cannot be read; first: .*2.png"):
        made.sample(2, RNG)
    monkeypatch.setattr("traiNNer.data.datasets.image_files.MOST_IN_A_ROW", 2)
    with pytest.raises(DataError, match="2 images in a row"):
        made.sample(2, RNG)
    assert MOST_IN_A_ROW == 100


def test_damaged_whole_image_is_an_error(root):
    made = opened(root)
    assert made.whole(1).gt.shape == (10, 12, 3)
    made.damaged = {1}
    with pytest.raises(DataError, match=r"datasets.train: damaged image .*1.png"):
        made.whole(1)


def test_file_changed_since_start_is_damaged(root):
    made = opened(root, cache_mb=0)
    write_png(root / "1.png", numbers(20, 12, 3))
    with pytest.raises(DataError, match=r"changed since the start: 12x10 -> 12x20"):
        made.whole(1)


@pytest.mark.parametrize("cache", ["auto", "off", "kept"])
def test_whole_images_belong_to_the_caller(root, monkeypatch, cache):
    monkeypatch.chdir(root.parent)
    made = opened(root, cache=cache)
    before = made.whole(0).gt.copy()
    made.whole(0).gt[:] = 0
    made.whole(0).gt[:] = 0
    np.testing.assert_array_equal(made.whole(0).gt, before)


def test_damaged_image_leaves_the_draws_of_its_substitute(root):
    made = opened(root)
    expected = made.sample(2, np.random.default_rng(1))
    made.damaged = {1}
    found = made.sample(1, np.random.default_rng(1))
    assert (found.key, found.skipped != ()) == (expected.key, True)
    np.testing.assert_array_equal(found.lq, expected.lq)


def test_self_description(root):
    made = opened(root)
    assert made.smallest_output() == (8, 12)
    assert made.describe(2) == str(root / "2.png")
    assert made.fingerprint() == opened(root, use_rot=False).fingerprint()
    assert made.fingerprint() != Files(root, 3).fingerprint()
    (root / "3.png").unlink()
    with pytest.raises(DataError, match="an image cannot be read any more"):
        made.fingerprint()


def test_one_folder_or_several(monkeypatch):
    monkeypatch.setenv("HOME", "/home/x")
    assert [str(path) for path in folders("~/a")] == ["/home/x/a"]
    assert [str(path) for path in folders(("a", "b"))] == ["a", "b"]
