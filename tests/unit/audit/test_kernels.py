import cv2
import numpy as np
import pytest
from imagekit import jpeg, photo
from PIL import Image

from traiNNer.audit.kernels import BICUBIC, guess_kernel, shrink
from traiNNer.utils.resize import imresize


def guess(lq, gt):
    return guess_kernel(lq[:, :, 1].astype(np.float32), gt[:, :, 1].astype(np.float32)).name


def opencv(image, scale, kind):
    return cv2.resize(image, (image.shape[1] // scale, image.shape[0] // scale), interpolation=kind)


def pillow(image, scale, kind):
    return np.array(Image.fromarray(image).resize((image.shape[1] // scale, image.shape[0] // scale), kind))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("make", "kind", "name"),
    [
        (pillow, Image.Resampling.BICUBIC, BICUBIC),
        (pillow, Image.Resampling.LANCZOS, "Lanczos"),
        (pillow, Image.Resampling.BILINEAR, "bilinear, antialiased"),
        (pillow, Image.Resampling.BOX, "box"),
        (pillow, Image.Resampling.NEAREST, "nearest"),
        (opencv, cv2.INTER_CUBIC, "bicubic, not antialiased"),
        (opencv, cv2.INTER_LANCZOS4, "Lanczos, not antialiased"),
        (opencv, cv2.INTER_AREA, "box"),
        (opencv, cv2.INTER_NEAREST, "nearest"),
    ],
)
def test_other_libraries_are_recognized(scale, make, kind, name):
    if scale == 3 and (make, kind) in ((opencv, cv2.INTER_CUBIC), (opencv, cv2.INTER_LANCZOS4)):
        name = "nearest"  # at odd scales a kernel that is not widened falls on the middle pixel alone
    gt = photo(size=(240, 192))
    assert guess(make(gt, scale, kind), gt) == name


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_imresize_is_recognized_and_shrink_is_the_same(scale):
    gt = photo(size=(240, 192))
    lq = imresize(gt, 1 / scale)
    assert guess(lq, gt) == BICUBIC
    expected = imresize(gt.astype(np.float64), 1 / scale)
    np.testing.assert_allclose(shrink(gt, scale), expected, atol=2e-3)


def test_opencv_bilinear_is_box_at_2x_and_known_at_4x():
    gt = photo()
    assert guess(opencv(gt, 2, cv2.INTER_LINEAR), gt) == "box"
    assert guess(opencv(gt, 4, cv2.INTER_LINEAR), gt) == "bilinear, not antialiased"


def test_blurred_compressed_and_noisy_lr_is_unknown():
    gt = photo()
    lq = imresize(gt, 0.5)
    noisy = np.clip(lq + np.random.default_rng(0).normal(0, 10, lq.shape), 0, 255)
    assert guess(noisy, gt) == "unknown"
    assert guess(jpeg(lq, 50), gt) == "unknown"
    assert guess(imresize(cv2.GaussianBlur(gt, (0, 0), 1.5), 0.5), gt) == "unknown"


def test_unknown_is_none():
    smooth = cv2.GaussianBlur(photo(), (0, 0), 8)
    assert guess(imresize(smooth, 0.5), smooth) is None
    gt = photo()
    assert guess(gt, gt) is None
    assert guess(imresize(gt, 1 / 32), gt) is None
