"""The law of a spectrum is recovered from bands that follow it, and tiles measure the power of known signals."""

import numpy as np
import pytest

from traiNNer.estimate.spectrum import REFERENCE, SLOPE, Bands, fit, tile_power

FREQUENCIES = np.linspace(0.03, 0.5, 30)


def bands(blur, noise, slope=SLOPE):
    photo = 2000 * (FREQUENCIES / REFERENCE) ** -slope * np.exp(-((2 * np.pi * blur * FREQUENCIES) ** 2))
    return Bands(photo + noise**2 + 1 / 12, lambda law: law(FREQUENCIES), 0.15)


@pytest.mark.parametrize("noise", [0.0, 5.0])
@pytest.mark.parametrize("blur", [0.0, 0.8, 1.5, 3.0])
def test_law_is_recovered(blur, noise):
    found = fit(bands(blur, noise), noise, 0.1)
    assert found.blur == pytest.approx(blur, abs=0.02)
    # Sharp bands without noise say little of it: what was known stays.
    assert found.noise == pytest.approx(np.hypot(noise, np.sqrt(1 / 12)), rel=0.1)


def test_another_slope_is_not_taken_for_blur():
    assert fit(bands(1.5, 2.0, slope=2.2), 2.0, 0.1).blur == pytest.approx(1.5, rel=0.08)


def test_noise_that_is_known_wrong_is_corrected_by_empty_bands():
    assert fit(bands(2.0, 5.0), 6.0, 0.5).noise == pytest.approx(5.0, rel=0.03)


def test_white_noise_has_its_variance_in_every_ring():
    power, frequencies = tile_power(np.random.default_rng(0).normal(100, 7, (480, 480)))
    assert np.all(np.diff(frequencies) > 0)
    assert 0.02 < frequencies[0] < frequencies[-1] < 0.5
    assert power.mean() == pytest.approx(49, rel=0.05)
    assert np.abs(power[5:] / 49 - 1).max() < 0.25


def test_wave_lies_in_the_ring_of_its_frequency():
    rows, columns = np.mgrid[:192, :192]
    power, frequencies = tile_power(50 * np.sin(2 * np.pi * (0.15 * rows + 0.2 * columns)))
    assert frequencies[np.argmax(power)] == pytest.approx(0.25, abs=0.012)
