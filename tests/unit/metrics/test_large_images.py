import cv2
import numpy as np
import pytest

from traiNNer.metrics.large_images import COLUMNS, KERNEL, ROWS, luma_squared_error, quick_similarity
from traiNNer.metrics.ssim import SSIM, mean_similarity
from traiNNer.utils.color import rgb_to_y

SIDES = (520, COLUMNS + 31)  # several tiles, the last ones small


def cases():
    random = np.random.default_rng(0)
    shape = (*SIDES, 3)
    noise = random.integers(-6, 7, shape)
    board = np.broadcast_to((np.indices(SIDES).sum(0) // 40 % 2 * 255)[..., None], shape)
    slope = np.broadcast_to(np.linspace(0, 255, SIDES[1])[None, :, None], shape)
    photo = cv2.GaussianBlur(random.integers(0, 256, shape).astype(np.float32), (9, 9), 2) * 2 - 128
    flat = np.full(shape, 250)
    return {
        "photo": (photo, photo + noise),
        "random": (random.integers(0, 256, shape), random.integers(0, 256, shape)),
        "flat": (flat, flat + noise // 2),
        "black and white": (np.zeros(shape), np.full(shape, 255)),
        "board": (board, board + noise),
        "slope": (slope, slope + noise),
        "opposite": (slope, 255 - slope),
    }


CASES = {name: [np.clip(image, 0, 255).astype(np.uint8) for image in pair] for name, pair in cases().items()}


@pytest.mark.parametrize("name", CASES)
def test_similarity_is_that_of_the_plain_form(name):
    a, b = CASES[name]
    assert quick_similarity(a, b, of_luma=False) == pytest.approx(mean_similarity(a, b), abs=1e-6)
    plain = mean_similarity(rgb_to_y(a), rgb_to_y(b))
    assert quick_similarity(a, b, of_luma=True) == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("shape", [(11, 11), (ROWS + 10, 40), (ROWS + 11, COLUMNS + 11)])
def test_every_window_counts_once(shape):
    a, b = (image[: shape[0], : shape[1]] for image in CASES["random"])
    assert quick_similarity(a, b, of_luma=False) == pytest.approx(mean_similarity(a, b), abs=1e-6)


def test_metric_takes_the_quick_form_of_large_images_alone():
    a, b = CASES["photo"]
    whole = SSIM(2, crop_border=2)(a, b)
    assert whole == quick_similarity(a[2:-2, 2:-2], b[2:-2, 2:-2], of_luma=True)
    small = SSIM(2, crop_border=2)(a[:300, :300], b[:300, :300])
    assert small == mean_similarity(rgb_to_y(a[2:298, 2:298]), rgb_to_y(b[2:298, 2:298]))


@pytest.mark.parametrize("name", CASES)
def test_luma_error_is_exact(name):
    a, b = CASES[name]
    plain = ((rgb_to_y(a) - rgb_to_y(b)) ** 2).mean()
    assert luma_squared_error(a, b) == pytest.approx(plain, rel=1e-12)


def test_kernel_sums_to_one():
    assert KERNEL.astype(np.float64).sum() == 1
