"""Blur against OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from traiNNer.degradations.blur import Blur, convolved
from traiNNer.degradations.draws import Draws

RNG = np.random.default_rng(0)


def test_filtered_as_opencv_does_with_repeated_borders():
    image, kernels = RNG.random((2, 30, 23, 3), dtype=np.float32), RNG.random((2, 7, 7))
    result = convolved(torch.from_numpy(image).permute(0, 3, 1, 2), kernels).permute(0, 2, 3, 1).numpy()
    for place in range(2):
        wanted = cv2.filter2D(image[place], -1, kernels[place], borderType=cv2.BORDER_REPLICATE)
        assert np.allclose(result[place], wanted, atol=1e-4)


def test_round_blur_is_opencvs_gaussian():
    image = RNG.random((40, 40, 3), dtype=np.float32)
    blur = Blur(kernels=("iso",), size=(21, 21), sigma=(1.7, 1.7))
    result = blur(torch.from_numpy(image).permute(2, 0, 1)[None], Draws([3], "blur"))[0].permute(1, 2, 0).numpy()
    assert np.allclose(result, cv2.GaussianBlur(image, (21, 21), 1.7, borderType=cv2.BORDER_REPLICATE), atol=1e-5)


@pytest.mark.parametrize("kind", ["iso", "generalized_iso", "plateau_iso"])
def test_kernels_named_iso_are_round_and_the_others_are_not(kind):
    for name, is_round in ((kind, True), (kind.replace("iso", "aniso"), False)):
        kernels = Blur(kernels=(name,), size=(9, 9), sigma=(0.5, 3.0)).drawn(Draws([1, 2, 3], "blur"))
        assert all(np.allclose(kernel, kernel.T) == is_round for kernel in kernels)


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": (2.0, 1.0)},
        {"sigma": (0.0, 1.0)},
        {"kernel_weights": (1.0,)},
        {"size": (9, 7)},
        {"cutoff": (2.0, 1.0)},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Blur(**options)
