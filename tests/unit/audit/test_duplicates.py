import numpy as np
import pytest
from imagekit import jpeg, numbers, photo

from traiNNer.audit import duplicates
from traiNNer.audit.duplicates import exact_copies, fingerprint, near_copies
from traiNNer.utils.resize import imresize


def prints(*images):
    return [fingerprint(image) for image in images]


def test_exact_copies_refer_to_the_first():
    one, other = photo(), photo("coffee.png")
    assert list(exact_copies(prints(other, one, other.copy(), one.copy(), one.copy()))) == [(0, 2), (1, 3), (1, 4)]


def test_one_changed_pixel_or_shape_is_not_an_exact_copy():
    image = photo()
    changed = image.copy()
    changed[9, 9, 1] ^= 1
    assert list(exact_copies(prints(image, changed))) == []
    flat = np.zeros((4, 6, 3), np.uint8)
    assert list(exact_copies(prints(flat, flat.reshape(6, 4, 3)))) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda image: jpeg(image, 60),
        lambda image: jpeg(image, 95),
        lambda image: imresize(image, 0.5),
        lambda image: np.clip(image * 0.9 + 5, 0, 255).astype(np.uint8),
        lambda image: image.astype(np.uint16) * 257,
    ],
    ids=["jpeg60", "jpeg95", "half the size", "darker", "16 bits"],
)
def test_modified_copies_are_near_duplicates(change):
    image = photo("chelsea.png")
    ((first, second, likeness),) = near_copies(prints(photo(), image, change(image)))
    assert (first, second) == (1, 2)
    assert likeness > 0.99


def test_exact_copies_and_other_photos_are_not_near_duplicates():
    names = ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg")
    images = [photo(name) for name in names]
    assert list(near_copies(prints(*images, images[0]))) == []


def test_flat_images_and_noise_are_not_near_duplicates():
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (7, 8, 9)]
    assert list(near_copies(prints(*flat, *(numbers(64, 64, 3, seed=seed) for seed in range(5))))) == []


def test_copy_is_grouped_with_the_most_similar(monkeypatch):
    monkeypatch.setattr(duplicates, "ROWS", 2)
    image = photo("chelsea.png")
    found = list(near_copies(prints(jpeg(image, 10), image, photo(), jpeg(image, 95))))
    assert [(first, second) for first, second, _ in found] == [(0, 1), (1, 3)]


def test_split_compares_only_across_its_halves():
    image = photo("chelsea.png")
    marks = prints(image, jpeg(image, 80), photo(), jpeg(image, 95), jpeg(photo(), 90))
    assert sorted((first, second) for first, second, _ in near_copies(marks, split=3)) == [(0, 3), (2, 4)]
