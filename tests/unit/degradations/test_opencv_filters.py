"""The quick filters of single images against a plain convolution."""

import numpy as np
import pytest
import torch

from traiNNer.degradations.blur import Blur, convolved, gaussian_lines
from traiNNer.degradations.blur import blurred as plainly_blurred
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.kernels import KINDS
from traiNNer.degradations.opencv_filters import ERROR, blurred, by_spectra, filtered, lines_of, trimmed

IMAGE = torch.rand(1, 3, 37, 30, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [5, 9, 15, 21])
def test_every_kind_of_kernel_is_filtered_as_by_convolution(kind, size):
    kernels = Blur(kernels=(kind,), size=(size, size)).drawn(Draws([1, 2, 3], "blur"))
    for kernel in kernels:
        wanted = convolved(IMAGE, kernel[None])
        assert (filtered(IMAGE, kernel) - wanted).abs().max() < 2 * ERROR


def test_all_three_ways_are_taken():
    blur = Blur(kernels=KINDS, size=(15, 21))
    kernels = [trimmed(kernel) for kernel in blur.drawn(Draws(np.arange(40), "blur"))]
    found = {len(lines) if (lines := lines_of(kernel)) else 0 for kernel in kernels}
    assert {0, 1} < found
    assert any(len(kernel) < 9 for kernel in kernels)


def test_spectra_need_no_square_image():
    kernel = np.random.default_rng(0).random((11, 11), dtype=np.float32)
    assert torch.allclose(by_spectra(IMAGE, kernel), convolved(IMAGE, kernel[None]), atol=1e-4)


def test_kernels_lose_nothing_but_their_empty_border():
    kernel = np.zeros((9, 9))
    kernel[3:6, 3:6] = np.arange(9).reshape(3, 3) / 36
    assert np.allclose(trimmed(kernel), kernel[3:6, 3:6])
    full = np.full((5, 5), 0.04)
    assert np.allclose(trimmed(full), full)
    point = np.zeros((7, 7))
    point[3, 3] = 1
    assert trimmed(point).tolist() == [[1]]


def test_blurred_along_both_axes():
    lines = gaussian_lines(np.array([1.5]), np.array([4]))
    assert torch.allclose(blurred(IMAGE, lines), plainly_blurred(IMAGE, lines), atol=1e-6)
