"""Blur kernels against their definitions."""

import numpy as np
import pytest
from scipy import ndimage, special, stats

from traiNNer.degradations.kernels import cut, distances, gaussian, generalized, plateau, sinc

ONE = np.ones(1)


def test_a_turned_gaussian_is_that_of_its_covariance():
    angle = 0.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([3.0**2, 1.2**2]) @ turn.T
    axis = np.arange(-7, 8)
    x, y = np.meshgrid(axis, axis)
    wanted = stats.multivariate_normal.pdf(np.dstack((x, y)), (0, 0), covariance)  # pyright: ignore[reportArgumentType]
    kernel = cut(gaussian(distances(15, 3 * ONE, 1.2 * ONE, angle * ONE)), np.array([15]))[0]
    assert np.allclose(kernel, wanted / wanted.sum(), atol=1e-12)


def test_the_general_kernels_are_those_of_their_formulas():
    round_ = distances(9, 2 * ONE, 2 * ONE, 0 * ONE)
    squared = sum(part**2 for part in np.meshgrid(*[np.arange(-4, 5)] * 2)) / 4
    assert np.allclose(generalized(round_, 0.7 * ONE), np.exp(-0.5 * squared**0.7))
    assert np.allclose(generalized(round_, ONE), gaussian(round_))
    assert np.allclose(plateau(round_, 1.5 * ONE), 1 / (1 + squared**1.5))


def test_sinc_passes_low_and_stops_high_frequencies():
    kernel = cut(sinc(63, np.array([1.2])), np.array([63]))[0]
    response = np.abs(np.fft.fft2(kernel, (256, 256)))
    frequency = 2 * np.pi * np.hypot(*np.meshgrid(*[np.fft.fftfreq(256)] * 2))
    assert np.allclose(response[frequency < 0.9], 1, atol=0.1)
    assert response[frequency > 1.6].max() < 0.1


def test_sinc_is_the_transform_of_a_disk():
    x, y = np.meshgrid(np.arange(-3, 4), np.arange(-3, 4))
    radius = np.hypot(x, y)
    radius[3, 3] = 1
    wanted = 1.5 * special.j1(1.5 * radius) / (2 * np.pi * radius)
    wanted[3, 3] = 1.5**2 / (4 * np.pi)
    assert np.allclose(sinc(7, np.array([1.5]))[0], wanted)


@pytest.mark.parametrize("size", [3, 5, 11])
def test_kernels_are_cut_and_sum_to_one(size):
    kernel = cut(gaussian(distances(11, 2 * ONE, 2 * ONE, 0 * ONE)), np.array([size]))[0]
    edge = (11 - size) // 2
    assert kernel.sum() == pytest.approx(1)
    assert np.count_nonzero(kernel) == size**2
    assert np.allclose(ndimage.center_of_mass(kernel), (5, 5))
    assert kernel[edge, 5] > 0
