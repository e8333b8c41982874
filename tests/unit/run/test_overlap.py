"""Validation images that are trained on."""

import shutil

import pytest
from imagekit import numbers, write_png

from traiNNer.data.datasets.single_gt import SingleGTDataset
from traiNNer.run import overlap
from traiNNer.run.overlap import validation_overlap


def opened(train, val):
    sets = {"train": SingleGTDataset(2, str(train)), "val": SingleGTDataset(2, str(val))}
    for key, dataset in sets.items():
        dataset.open("val", key)
    return sets


@pytest.fixture
def folders(tmp_path):
    for number in range(3):
        write_png(tmp_path / f"train/sub/{number}.png", numbers(16, 16, 3, seed=number))
        write_png(tmp_path / f"val/own{number}.png", numbers(16, 16, 3, seed=10 + number))
    return tmp_path / "train", tmp_path / "val"


def test_other_images_of_one_size_are_not_reported(folders):
    assert validation_overlap(opened(*folders)) == []


@pytest.mark.parametrize("place", ["copy", "link"])
def test_copy_or_link_under_another_name_is_named(folders, place):
    train, val = folders
    if place == "copy":
        shutil.copy(train / "sub/1.png", val / "other.png")
    else:
        (val / "other.png").symlink_to(train / "sub/1.png")
    assert validation_overlap(opened(train, val)) == [
        f"datasets.val: 1 of 4 images are trained on, so its scores are too good: {val}/other.png is "
        f"{train}/sub/1.png. Take them out of one of the two sets, or use `split`."
    ]


def test_sub_folder_of_the_training_images_in_another_spelling_is_found(folders):
    train, val = folders
    (told,) = validation_overlap(opened(train, val / "../train/sub"))
    assert told.startswith("datasets.val: 3 of 3 images are trained on")


def test_number_of_compared_files_is_bounded(folders, monkeypatch):
    monkeypatch.setattr(overlap, "MOST_CANDIDATES", 0)
    train, _ = folders
    assert validation_overlap(opened(train, train)) == []
