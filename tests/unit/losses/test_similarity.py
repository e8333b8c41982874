import numpy as np
import torch
from scipy.ndimage import correlate1d

from traiNNer.losses.similarity import blurred, gaussian, similarity_maps


def test_window_is_a_gaussian():
    window = gaussian(11, 1.5).flatten().double().numpy()
    np.testing.assert_allclose(window.sum(), 1, atol=1e-6)
    np.testing.assert_allclose(window[5] / window[[2, 8]], np.exp(9 / (2 * 1.5**2)), rtol=1e-5)


def test_blur_keeps_valid_positions_of_every_plane():
    maps = torch.rand(2, 3, 14, 17, generator=torch.Generator().manual_seed(0))
    window = gaussian(5, 1.0)
    kernel = window.flatten().double().numpy()
    expected = correlate1d(correlate1d(maps.double().numpy(), kernel, axis=2), kernel, axis=3)[..., 2:-2, 2:-2]
    np.testing.assert_allclose(blurred(maps, window), expected, atol=1e-6)


def test_constants_are_those_given():
    black, white = torch.zeros(1, 1, 5, 5), torch.ones(1, 1, 5, 5)
    similarity, contrast = similarity_maps(black, white, gaussian(5, 1.0), c1=0.25, c2=1.0)
    torch.testing.assert_close(similarity, torch.full((1, 1, 1, 1), 0.25 / 1.25))
    torch.testing.assert_close(contrast, torch.ones(1, 1, 1, 1))
