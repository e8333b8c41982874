import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from imagekit import numbers, write_pairs, write_png
from pydantic import ValidationError

from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import read_image
from traiNNer.registry import DATASETS


def build(root: Path, purpose="train", **options):
    given = {"dataroot_lq": str(root / "lr"), "dataroot_gt": str(root / "hr"), "lq_size": 8} | options
    dataset = DATASETS.build("PairedImageDataset", given, scale=2)
    assert isinstance(dataset, PairedImageDataset)
    assert dataset.open(purpose, f"datasets.{purpose}") == []
    return dataset


def rng(seed=0):
    return np.random.default_rng(seed)


def damage(path: Path) -> None:
    """Break the compressed data; the header and the end stay good."""
    data = bytearray(path.read_bytes())
    start = data.index(b"IDAT") + 4
    data[start : start + 12] = bytes(12)
    path.write_bytes(data)


def test_sample_is_a_crop_of_its_pair(tmp_path):
    write_pairs(tmp_path, 3)
    dataset = build(tmp_path, use_hflip=False, use_rot=False)
    lq, gt = read_image(tmp_path / "lr/001.png"), read_image(tmp_path / "hr/001.png")
    for seed in range(20):
        sample = dataset.sample(1, rng(seed))
        assert (sample.key, sample.skipped) == ("001", ())
        assert sample.lq.shape == (8, 8, 3)
        assert sample.lq.dtype == np.uint8
        places = [(y, x) for y in range(5) for x in range(7) if np.array_equal(lq[y : y + 8, x : x + 8], sample.lq)]
        ((y, x),) = places
        np.testing.assert_array_equal(sample.gt, gt[2 * y : 2 * y + 16, 2 * x : 2 * x + 16])


@pytest.mark.parametrize("cache", ["off", "kept"])
def test_sample_depends_on_index_and_generator_only(tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path, 3)
    first = [build(tmp_path).sample(index, rng(index)) for index in range(3)]
    dataset = build(tmp_path, cache=cache)
    np.random.seed(5)
    for _ in range(2):
        for index in (2, 0, 1):
            sample = dataset.sample(index, rng(index))
            np.testing.assert_array_equal(sample.lq, first[index].lq)
            np.testing.assert_array_equal(sample.gt, first[index].gt)


def test_modifying_a_sample_does_not_alter_the_cache(tmp_path):
    write_pairs(tmp_path, 1, size=(8, 8))
    dataset = build(tmp_path)
    before = dataset.sample(0, rng()).lq.copy()
    for seed in range(10):
        sample = dataset.sample(0, rng(seed))
        batch = np.stack([sample.lq])  # as the loader does
        batch[:] = 0
    np.testing.assert_array_equal(dataset.sample(0, rng()).lq, before)


def test_whole_images_are_uncropped_and_gt_fits(tmp_path):
    write_pairs(tmp_path, 2)
    write_png(tmp_path / "hr/001.png", numbers(25, 29, 3, seed=9))
    dataset = PairedImageDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"))
    assert dataset.open("val", "v") == ["v: 1 GT images are up to 1 px larger than LQ x 2; cropped"]
    sample = dataset.whole(1)
    np.testing.assert_array_equal(sample.lq, read_image(tmp_path / "lr/001.png"))
    np.testing.assert_array_equal(sample.gt, numbers(25, 29, 3, seed=9)[:24, :28])
    assert sample.gt is not None
    assert sample.gt.flags.c_contiguous


def test_images_without_ground_truth(tmp_path):
    write_pairs(tmp_path, 2)
    dataset = PairedImageDataset(2, str(tmp_path / "lr"))
    assert dataset.open("val", "v") == []
    assert len(dataset) == 2
    assert dataset.whole(0).gt is None


def test_lq_size_follows_from_gt_size(tmp_path):
    write_pairs(tmp_path, 1)
    sample = build(tmp_path, lq_size=None, gt_size=20).sample(0, rng())
    assert sample.gt is not None
    assert (sample.lq.shape, sample.gt.shape) == ((10, 10, 3), (20, 20, 3))


def test_several_roots(tmp_path):
    for name in ("a", "b"):
        write_pairs(tmp_path / name, 2)
    roots = {key: [str(tmp_path / n / d) for n in "ab"] for key, d in (("dataroot_lq", "lr"), ("dataroot_gt", "hr"))}
    dataset = build(tmp_path, **roots)
    assert [dataset.sample(index, rng()).key for index in range(4)] == ["0/000", "0/001", "1/000", "1/001"]
    with pytest.raises(DataError, match=r"datasets.train: 1 folders in dataroot_gt, 2 in dataroot_lq"):
        build(tmp_path, **roots | {"dataroot_gt": str(tmp_path / "a/hr")})


@pytest.mark.parametrize(
    ("options", "missing"), [({"dataroot_gt": None}, "dataroot_gt"), ({"lq_size": None}, r"lq_size \(or gt_size\)")]
)
def test_training_names_missing_requirements(tmp_path, options, missing):
    write_pairs(tmp_path, 1)
    with pytest.raises(DataError, match=rf"datasets.train: training needs {missing}"):
        build(tmp_path, **options)
    build(tmp_path, purpose="val", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"lq_size": 0},
        {"cache_mb": -1},
        {"cache": ""},
        {"cache": False},
        {"use_rot": 1},
        {"lqsize": 8},
        {"max_pixels": 0},
    ],
)
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(ValidationError):
        build(tmp_path, **options)


@pytest.mark.parametrize("side", ["lr", "hr"])
def test_damaged_pair_is_replaced_by_the_next_good_one(tmp_path, side):
    write_pairs(tmp_path, 4)
    dataset = build(tmp_path, cache_mb=0)
    for name in ("001", "002"):
        damage(tmp_path / side / f"{name}.png")
    sample = dataset.sample(1, rng(3))
    assert sample.key == "003"
    assert sample.skipped == tuple(
        f"{tmp_path / side / name}.png (damaged: cannot be decoded)" for name in ("001", "002")
    )
    expected = dataset.sample(3, rng(3))
    np.testing.assert_array_equal(sample.lq, expected.lq)
    damage(tmp_path / side / "003.png")
    assert dataset.sample(3, rng()).key == "000"


def test_deleted_and_replaced_files_are_damaged(tmp_path):
    write_pairs(tmp_path, 3)
    dataset = build(tmp_path, cache_mb=0)
    (tmp_path / "hr/000.png").unlink()
    write_png(tmp_path / "lr/001.png", numbers(6, 6, 3))
    sample = dataset.sample(0, rng())
    assert sample.key == "002"
    assert sample.skipped == (
        f"{tmp_path}/hr/000.png (no such file or directory)",
        f"{tmp_path}/lr/001.png (changed since the start: 14x12 -> 6x6)",
    )


def test_nothing_readable_ends_the_run(tmp_path, monkeypatch):
    write_pairs(tmp_path, 3)
    dataset = build(tmp_path)
    shutil.rmtree(tmp_path / "lr")
    with pytest.raises(DataError, match=r"datasets.train: 3 images in a row cannot be read; first: .*lr/001\.png"):
        dataset.sample(1, rng())
    monkeypatch.setattr("traiNNer.data.datasets.image_files.MOST_IN_A_ROW", 2)
    with pytest.raises(DataError, match="2 images in a row"):
        dataset.sample(1, rng())


def test_damaged_image_is_fatal_in_validation(tmp_path):
    write_pairs(tmp_path, 3)
    dataset = build(tmp_path, purpose="val", cache_mb=0)
    damage(tmp_path / "hr/001.png")
    dataset.whole(0)
    with pytest.raises(DataError, match=r"datasets.val: damaged image .*hr/001\.png \(damaged"):
        dataset.whole(1)


def test_validation_set_is_decoded_at_the_start_and_all_damaged_images_are_named(tmp_path):
    write_pairs(tmp_path, 4)
    damage(tmp_path / "hr/001.png")
    damage(tmp_path / "hr/003.png")
    with pytest.raises(DataError, match=r"2 damaged images: .*hr/001\.png \(damaged.*hr/003\.png \(damaged"):
        build(tmp_path, purpose="val")
    build(tmp_path)  # in training they are replaced


def test_fingerprint_depends_on_content_not_path(tmp_path):
    write_pairs(tmp_path / "here", 5)
    fingerprint = build(tmp_path / "here").fingerprint()
    assert fingerprint["count"] == 5
    assert build(tmp_path / "here", cache_mb=0, use_rot=False).fingerprint() == fingerprint
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    for path in (tmp_path / "there").rglob("*.png"):
        os.utime(path, (0, 0))
    assert build(tmp_path / "there").fingerprint() == fingerprint


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "resized"])
def test_fingerprint_detects_changes(tmp_path, change):
    write_pairs(tmp_path, 5)
    before = build(tmp_path).fingerprint()
    for side, factor in (("lr", 1), ("hr", 2)):
        path = tmp_path / side / "004.png"
        if change == "added":
            shutil.copy(path, path.with_name("005.png"))
        elif change == "removed":
            path.unlink()
        elif change == "renamed":
            path.rename(path.with_name("x.png"))
        else:
            write_png(path, numbers(13 * factor, 14 * factor, 3))
    after = build(tmp_path).fingerprint()
    assert after["sha256"] != before["sha256"]
    assert after["count"] == {"added": 6, "removed": 4}.get(change, 5)


def test_directory_order_is_ignored(tmp_path, monkeypatch):
    write_pairs(tmp_path, 6)
    before = build(tmp_path)
    real = os.walk

    def reversed_walk(*arguments, **options):
        for folder, folders, files in real(*arguments, **options):
            yield folder, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", reversed_walk)
    after = build(tmp_path)
    assert after.fingerprint() == before.fingerprint()
    assert [after.sample(i, rng()).key for i in range(6)] == [before.sample(i, rng()).key for i in range(6)]


def test_16_bit_images_keep_their_precision(tmp_path):
    write_pairs(tmp_path, 1, bits=16)
    sample = build(tmp_path, purpose="val").whole(0)
    np.testing.assert_array_equal(sample.lq, numbers(12, 14, 3, seed=0, bits=16))


def test_description_names_the_file(tmp_path):
    write_pairs(tmp_path, 2)
    assert build(tmp_path).describe(1) == str(tmp_path / "lr/001.png")


@pytest.mark.parametrize("root", ["with space", "中文", "🐘", "50% %20", 'it\'s "q"', "x" * 200])
def test_any_root_works(tmp_path, root):
    write_pairs(tmp_path / root, 2)
    assert build(tmp_path / root).sample(1, rng()).key == "001"


class Halves:
    """Degradations that leave a mark: 10 on LQ, made from whatever size, and 20 on GT."""

    def lq(self, image, seed, size):
        return np.full((*size, 3), 10 if image.shape[:2] == size else 11, image.dtype)

    def gt(self, image, seed):
        return np.full_like(image, 20)


@pytest.mark.parametrize(("share", "marks"), [(None, {10}), (0.0, set()), (1.0, {11}), (0.5, {11})])
def test_lq_is_spoiled_or_made_of_gt_as_often_as_asked_for(tmp_path, share, marks):
    write_pairs(tmp_path, 1, (20, 24))
    roots = {"dataroot_gt": str(tmp_path / "hr"), "dataroot_lq": str(tmp_path / "lr")}
    given = {**roots, "lq_size": 8, "made_of_gt": share}
    dataset = DATASETS.build("PairedImageDataset", given, scale=2, degrade=Halves())
    dataset.open("train", "datasets.train")
    samples = [dataset.sample(0, np.random.default_rng(seed)) for seed in range(40)]
    made = [sample for sample in samples if len(np.unique(sample.lq)) == 1]
    assert {int(sample.lq[0, 0, 0]) for sample in made} == marks
    assert all((sample.gt == 20).all() for sample in made)
    assert len(made) == {None: 40, 0.0: 0, 1.0: 40}.get(share, len(made))
    assert share != 0.5 or 8 < len(made) < 32
    assert np.array_equal(dataset.whole(0).lq, dataset.whole(0).lq)
