"""Pairs that show different pictures."""

import cv2
import numpy as np
import pytest
from imagekit import jpeg, photo, write_png

from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.run.pairs import different_pictures, picture_likeness


def shrunk(image, scale):
    height, width = image.shape[:2]
    return cv2.resize(image, (width // scale, height // scale), interpolation=cv2.INTER_AREA)


def noisy(image, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


DEGRADATIONS = {
    "clean": lambda lq: lq,
    "blur": lambda lq: cv2.GaussianBlur(lq, (0, 0), 2),
    "noise": lambda lq: noisy(lq, 25),
    "jpeg": lambda lq: jpeg(lq, 10),
    "all": lambda lq: jpeg(noisy(cv2.GaussianBlur(lq, (0, 0), 1.5), 25), 30),
}
# Parts of one photo, which show different things.
PLACES = [(0, 0), (0, 256), (256, 0), (256, 256)]


def parts():
    return [photo(top=top, left=left) for top, left in PLACES]


def opened(root, order, scale=4, degrade="clean"):
    images = parts()
    for number, other in enumerate(order):
        write_png(root / f"hr/{number}.png", images[number])
        write_png(root / f"lr/{number}.png", DEGRADATIONS[degrade](shrunk(images[other], scale)))
    dataset = PairedImageDataset(scale, str(root / "lr"), str(root / "hr"))
    dataset.open("val", "datasets.val")
    return {"val": dataset}


@pytest.mark.parametrize("degrade", DEGRADATIONS)
@pytest.mark.parametrize("scale", [2, 4])
def test_degraded_pairs_are_not_reported(tmp_path, scale, degrade):
    assert different_pictures(opened(tmp_path, range(4), scale, degrade)) == []


@pytest.mark.parametrize("degrade", DEGRADATIONS)
def test_two_files_with_the_names_of_each_other_are_named(tmp_path, degrade):
    (told,) = different_pictures(opened(tmp_path, [0, 3, 2, 1], degrade=degrade))
    assert told == (
        f"datasets.val: 2 of 4 compared pairs show different pictures: {tmp_path}/hr/1.png and {tmp_path}/lr/1.png; "
        f"{tmp_path}/hr/3.png and {tmp_path}/lr/3.png. Check the names of the files, and that the lists of folders in "
        "dataroot_gt and dataroot_lq have the same order."
    )


def test_set_in_which_nothing_fits_is_reported(tmp_path):
    (told,) = different_pictures(opened(tmp_path, [1, 2, 3, 0]))
    assert told.startswith("datasets.val: 4 of 4 compared pairs show different pictures: ")


def patterns(root, order, count=4):
    """Write the same pattern with different grain: alike as a whole, different in detail."""
    y, x = np.mgrid[0:96, 0:128]
    pattern = np.repeat((128 + 60 * np.sin(x / 9) + 50 * np.cos(y / 11))[:, :, None], 3, axis=2)
    grain = [np.random.default_rng(number).normal(0, 12, (96, 128, 3)) for number in range(count)]
    images = [np.clip(pattern + noise, 0, 255).astype(np.uint8) for noise in grain]
    for number, other in enumerate(order):
        write_png(root / f"hr/{number}.png", images[number])
        write_png(root / f"lr/{number}.png", shrunk(images[other], 2))
    dataset = PairedImageDataset(2, str(root / "lr"), str(root / "hr"))
    dataset.open("val", "datasets.val")
    return {"val": dataset}


def test_alike_pictures_are_known_by_their_detail(tmp_path):
    (told,) = different_pictures(patterns(tmp_path / "b", [0, 3, 2, 1]))
    assert "2 of 4 compared pairs show different pictures: " in told
    assert "hr/1.png" in told
    assert "hr/2.png" not in told
    assert different_pictures(patterns(tmp_path / "a", range(4))) == []


def test_sixteen_bits_are_compared_as_eight_are():
    image = photo()
    deep = image.astype(np.uint16) * 257
    assert picture_likeness(shrunk(image, 4), deep) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("image", [np.full((64, 64, 3), 90, np.uint8), photo(size=(20, 64))])
def test_flat_and_tiny_images_say_nothing(image):
    assert picture_likeness(image, photo()) is None
