"""Which files of a folder are images of the set, and that nothing is passed over without a word."""

from collections import Counter

import pytest

from traiNNer.data.files.listing import KINDS_SHOWN, list_images, told
from traiNNer.data.files.scan import scan_gt
from traiNNer.imaging.image_file import SUFFIXES


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_linked_folder_is_read_under_its_own_name(tmp_path):
    touch(tmp_path, "a/1.png", "a/2.png")
    (tmp_path / "b").symlink_to("a")
    assert list(list_images(tmp_path).files) == ["a/1", "a/2", "b/1", "b/2"]


def test_link_to_a_folder_above_is_counted_and_not_followed(tmp_path):
    touch(tmp_path, "a/1.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    found = list_images(tmp_path)
    assert list(found.files) == ["a/1"]
    assert told(found.passed_over) == ["1 links to a folder above are not followed"]


def test_thumbnails_of_a_nas_are_counted(tmp_path):
    touch(tmp_path, "1.png", "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "x/@eaDir/thumb.jpg", "x/2.png")
    found = list_images(tmp_path)
    assert list(found.files) == ["1", "x/2"]
    assert told(found.passed_over) == ["2 images in folders that a NAS or macOS made are left out (@eaDir 2)"]


def test_endings_that_are_not_read_are_counted(tmp_path):
    touch(tmp_path, "1.jfif", "2.JPE", "3.gif", "4.dng", "5.dng", "notes.txt", "Thumbs.db", ".hidden.gif")
    found = list_images(tmp_path)
    assert list(found.files) == ["1", "2"]
    assert told(found.passed_over) == [
        "3 images with endings that are not read are left out (dng 2, gif 1); convert them to PNG"
    ]


@pytest.mark.parametrize("ending", ["avif", "jxl", "heic"])
def test_every_modern_ending_is_read_or_counted(tmp_path, ending):
    found = list_images(touch(tmp_path, f"1.{ending}"))
    assert len(found.files) + found.passed_over[f".{ending}"] == 1
    assert bool(found.files) == (f".{ending}" in SUFFIXES)


def test_rare_endings_are_summed_up():
    many = Counter({f".e{number}": 1 for number in range(KINDS_SHOWN + 3)})
    assert "others 3" in told(many)[0]


def test_scan_says_what_it_passes_over(tmp_path):
    touch(tmp_path, "1.png", "2.gif")
    assert scan_gt("datasets.train", [tmp_path], 2, None, 200).notices == [
        "datasets.train: 1 images with endings that are not read are left out (gif 1); convert them to PNG"
    ]
