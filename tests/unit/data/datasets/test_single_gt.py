import shutil
from pathlib import Path

import numpy as np
import pytest
from imagekit import numbers, write_png
from pydantic import ValidationError

from traiNNer.batch import Sample
from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.data.datasets.single_gt import SingleGTDataset
from traiNNer.data.files.options import FileOptions
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import read_image, write_image
from traiNNer.registry import DATASETS
from traiNNer.utils.resize import imresize

SIZES = [(26, 31), (24, 24), (40, 25), (33, 36)]


def rng(seed=0):
    return np.random.default_rng(seed)


def write_photos(root: Path, bits: int = 8) -> Path:
    for number, size in enumerate(SIZES):
        write_png(root / f"{number:03}.png", numbers(*size, 3, seed=number, bits=bits))
    return root


def build(root: Path, purpose="train", scale=2, **options) -> SingleGTDataset:
    given = {"dataroot_gt": str(root), "lq_size": 24 // scale} | options
    dataset = DATASETS.build("single_gt_dataset", given, scale=scale)
    assert isinstance(dataset, SingleGTDataset)
    assert dataset.open(purpose, f"datasets.{purpose}") == []
    return dataset


def assert_same(first: Sample, second: Sample) -> None:
    assert (first.key, first.skipped) == (second.key, second.skipped)
    assert first.gt is not None
    assert second.gt is not None
    for one, other in ((first.lq, second.lq), (first.gt, second.gt)):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_single_gt_equals_a_paired_dataset_with_precomputed_lq(tmp_path, scale, bits):
    """LQ files on disk are the reference for LQ made on the fly."""
    photos = write_photos(tmp_path / "photos", bits)
    for path in photos.iterdir():
        image = read_image(path)
        height, width = (side - side % scale for side in image.shape[:2])
        write_image(tmp_path / "hr" / path.name, image[:height, :width])
        write_image(tmp_path / "lr" / path.name, imresize(image[:height, :width], 1 / scale))
    side = 24 // scale - 2
    single = build(photos, scale=scale, lq_size=side)
    paired = PairedImageDataset(scale, str(tmp_path / "lr"), str(tmp_path / "hr"), files=FileOptions(lq_size=side))
    paired.open("train", "datasets.train")
    assert len(single) == len(paired) == 4
    assert single.smallest_output() == paired.smallest_output()
    for index in range(4):
        assert_same(single.whole(index), paired.whole(index))
        for seed in range(5):
            assert_same(single.sample(index, rng(seed)), paired.sample(index, rng(seed)))


def test_full_size_crop_is_the_image(tmp_path):
    write_png(tmp_path / "1.png", numbers(25, 24, 3))
    dataset = build(tmp_path, use_hflip=False, use_rot=False)
    assert_same(dataset.sample(0, rng()), dataset.whole(0))
    np.testing.assert_array_equal(dataset.whole(0).gt, numbers(25, 24, 3)[:24])


@pytest.mark.parametrize("cache", ["off", "kept"])
def test_sample_depends_on_index_and_generator_only(tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path)
    first = [build(tmp_path).sample(index, rng(index)) for index in range(3)]
    dataset = build(tmp_path, cache=cache)
    np.random.seed(5)
    for _ in range(2):
        for index in (2, 0, 1):
            assert_same(dataset.sample(index, rng(index)), first[index])


def test_validation_lq_is_made_once(tmp_path, monkeypatch):
    write_photos(tmp_path)
    calls = []
    monkeypatch.setattr(
        "traiNNer.data.datasets.single_gt.imresize", lambda *a, **options: calls.append(1) or imresize(*a, **options)
    )
    dataset = build(tmp_path, purpose="val")
    for _ in range(3):
        assert_same(dataset.whole(0), build(tmp_path, purpose="val").whole(0))
    assert len(calls) == 1 + 3


def test_several_roots_and_sub_folders(tmp_path):
    for name in ("a", "b/deep"):
        write_photos(tmp_path / name)
    assert [build(tmp_path).whole(index).key for index in (0, 4)] == ["a/000", "b/deep/000"]
    dataset = build(tmp_path, dataroot_gt=[str(tmp_path / "a"), str(tmp_path / "b")])
    assert [dataset.whole(index).key for index in (0, 4)] == ["0/000", "1/deep/000"]


def test_gt_size_and_the_missing_size(tmp_path):
    write_photos(tmp_path)
    sample = build(tmp_path, lq_size=None, gt_size=20).sample(0, rng())
    assert sample.gt is not None
    assert (sample.lq.shape, sample.gt.shape) == ((10, 10, 3), (20, 20, 3))
    with pytest.raises(DataError, match=r"datasets.train: training needs lq_size \(or gt_size\)"):
        build(tmp_path, lq_size=None)
    assert len(build(tmp_path, purpose="val", lq_size=None)) == 4


@pytest.mark.parametrize("options", [{"dataroot_lq": "x"}, {"lq_size": 0}, {"split": "test"}, {"dataroot_gt": []}])
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(ValidationError):
        build(tmp_path, **options)


def test_too_small_for_the_crop_or_for_one_pixel(tmp_path):
    write_photos(tmp_path)
    write_png(tmp_path / "small.png", numbers(25, 3, 3))
    with pytest.raises(DataError) as caught:
        build(tmp_path, lq_size=13)
    assert caught.value.exit_code == 3
    assert f"3 GT images too small for lq_size 13 x scale 2: {tmp_path}/001.png 24x24" in str(caught.value)
    with pytest.raises(DataError, match=r"1 GT images too small for scale 4: .*small\.png 3x25"):
        build(tmp_path, purpose="val", scale=4)
    assert build(tmp_path, purpose="val", scale=3).smallest_output() == (24, 3)


def test_empty_missing_and_unreadable(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=rf"datasets.train has no images in {tmp_path}/empty\. Allowed: \.png"):
        build(tmp_path / "empty")
    with pytest.raises(DataError, match=r"datasets.train.dataroot_gt: no such folder .*with the folders empty"):
        build(tmp_path / "hr")
    write_photos(tmp_path)
    (tmp_path / "001.png").write_bytes(b"")
    with pytest.raises(DataError, match=rf"1 unreadable images: {tmp_path}/001\.png \(empty file\)"):
        build(tmp_path)


def test_kinds_of_images_are_counted_once(tmp_path):
    write_photos(tmp_path)
    write_png(tmp_path / "x.png", numbers(24, 24, 4))
    dataset = SingleGTDataset(2, str(tmp_path), files=FileOptions(lq_size=12))
    assert dataset.open("train", "t") == ["t: 1 images have transparency, which is dropped"]


def test_damaged_image_is_replaced_in_training_and_fatal_in_validation(tmp_path):
    write_photos(tmp_path)
    dataset = build(tmp_path, cache_mb=0)
    path = tmp_path / "001.png"
    data = bytearray(path.read_bytes())
    start = data.index(b"IDAT") + 4
    data[start : start + 12] = bytes(12)
    path.write_bytes(data)
    sample = dataset.sample(1, rng(3))
    assert (sample.key, sample.skipped) == ("002", (f"{path} (damaged: cannot be decoded)",))
    np.testing.assert_array_equal(sample.lq, dataset.sample(2, rng(3)).lq)
    with pytest.raises(DataError, match=r"datasets.train: damaged image .*001\.png"):
        dataset.whole(1)
    assert dataset.describe(1) == str(path)


def test_fingerprint_depends_on_names_and_sizes(tmp_path):
    write_photos(tmp_path / "a")
    before = build(tmp_path / "a").fingerprint()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert build(tmp_path / "b", cache_mb=0).fingerprint() == before
    assert before["count"] == 4
    write_png(tmp_path / "b/003.png", numbers(24, 40, 3))
    assert build(tmp_path / "b").fingerprint() != before


def keys(dataset) -> list[str]:
    return [dataset.whole(index).key for index in range(len(dataset))]


def write_many(root: Path, names) -> Path:
    for number, name in enumerate(names):
        write_png(root / f"{name}.png", numbers(24, 26, 3, seed=number))
    return root


@pytest.mark.parametrize("kind", ["single", "paired"])
def test_training_and_held_out_images_partition_the_dataset(tmp_path, kind):
    names = [f"{image:02}_s{crop:03}" for image in range(12) for crop in range(3)]
    write_many(tmp_path / "hr", names)
    for number, name in enumerate(names):
        write_png(tmp_path / f"lr/{name}.png", numbers(12, 13, 3, seed=number))

    def opened(split):
        if kind == "single":
            dataset = SingleGTDataset(2, str(tmp_path / "hr"), files=FileOptions(lq_size=8, split=split))
        else:
            dataset = PairedImageDataset(
                2, str(tmp_path / "lr"), str(tmp_path / "hr"), files=FileOptions(lq_size=8, split=split)
            )
        assert dataset.open("train", "t") == []
        return keys(dataset)

    train, val = opened("train"), opened("val")
    assert sorted(train + val) == names == opened("all")
    assert len(val) == 6  # eight of 36 would split a third photo
    assert not {name[:2] for name in train} & {name[:2] for name in val}


def test_paired_and_single_datasets_split_alike_for_any_suffix(tmp_path):
    names = [f"{image:03}" for image in range(40)]
    write_many(tmp_path / "hr", [f"{name}_HR" for name in names])
    for name in names:
        write_png(tmp_path / f"lr/{name}_LRx2.png", numbers(12, 13, 3))
    paired = PairedImageDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"), files=FileOptions(split="val"))
    paired.open("val", "v")
    single = SingleGTDataset(2, str(tmp_path / "hr"), files=FileOptions(split="val"))
    single.open("val", "v")
    assert keys(single) == [f"{key}_HR" for key in keys(paired)]
    assert len(single) == 8


def test_errors_outside_the_crop_are_ignored(tmp_path):
    names = [f"{image:03}" for image in range(8)]
    write_many(tmp_path, names)
    held = keys(build(tmp_path, purpose="val", split="val"))
    write_png(tmp_path / f"{held[0]}.png", numbers(4, 4, 3))
    assert keys(build(tmp_path, split="train")) == [name for name in names if name not in held]
    with pytest.raises(DataError, match="too small"):
        build(tmp_path, split="all")


@pytest.mark.parametrize("split", ["train", "val"])
def test_one_image_cannot_be_split(tmp_path, split):
    write_many(tmp_path / "one", ["a"])
    text = r"t: nothing can be held out, there is only .*one/a\.png\. Add images, or leave out `split`"
    with pytest.raises(DataError, match=text):
        SingleGTDataset(2, str(tmp_path / "one"), files=FileOptions(split=split, lq_size=8)).open("train", "t")
    write_many(tmp_path / "crops", ["a_s001", "a_s002"])
    with pytest.raises(DataError, match=r"by their names all 2 are crops of one, like .*a_s001\.png"):
        SingleGTDataset(2, str(tmp_path / "crops"), files=FileOptions(split=split, lq_size=8)).open("train", "t")
