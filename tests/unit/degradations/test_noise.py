"""Noise against the laws that it states."""

import numpy as np
import pytest
import torch
from scipy import stats

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.noise import Noise, counted, counted_where_dark

FLAT = torch.full((1, 3, 100, 100), 0.5)


def added(images=FLAT, seeds=(4,), **options):
    return Noise(**options)(images, Draws(seeds, "noise")) - images


def test_gaussian_noise_has_its_width():
    noise = added(kinds=("gaussian",), sigma=(10.0, 10.0), gray_prob=0.0).flatten().numpy() * 255 / 10
    assert stats.kstest(noise, stats.norm.cdf).pvalue > 1e-4


def test_speckle_grows_with_the_pixel():
    options = {"kinds": ("speckle",), "speckle": (8.0, 8.0), "gray_prob": 0.0}
    assert added(**options).std().item() == pytest.approx(0.04, rel=0.02)
    assert torch.allclose(added(FLAT / 2, **options), added(**options) / 2, atol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "poisson", "speckle"])
def test_gray_noise_is_the_same_in_all_colors(kind):
    noise = added(kinds=(kind,), gray_prob=1.0)
    assert torch.allclose(noise[:, :1].expand_as(noise), noise, atol=1e-6)
    assert noise.std() > 0
    colored = added(kinds=(kind,), gray_prob=0.0)
    assert not torch.allclose(colored[:, 0], colored[:, 1], atol=1e-3)


@pytest.mark.parametrize("expected", [0.0, 0.3, 4.0, 5.9, 6.1, 12.5, 40.0, 255.0])
def test_counts_follow_poissons_law(expected):
    like = torch.full((1, 1, 200, 200), expected)
    levels = Draws([9], "p").levels("n", like)
    counts = counted(like, levels).flatten().numpy()
    quick = counted_where_dark(like, levels).flatten().numpy()
    assert np.mean(quick != counts) < 1e-3  # sums of the distribution are rounded in another order
    law = stats.poisson(expected)
    low, high = int(law.ppf(0.001)), int(law.ppf(0.999))
    shares = np.array([(counts == k).mean() for k in range(low, high + 1)])
    assert np.abs(np.cumsum(shares) - (law.cdf(np.arange(low, high + 1)) - law.cdf(low - 1))).max() < 0.01
    assert counts.mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / counts.size))
    assert np.array_equal(counts, np.rint(counts))


def test_poisson_noise_is_that_of_255_events_in_white():
    noise = added(kinds=("poisson",), poisson_scale=(1.0, 1.0), gray_prob=0.0)
    assert noise.std().item() * 255 == pytest.approx(np.sqrt(127.5), rel=0.02)
    half = added(kinds=("poisson",), poisson_scale=(0.5, 0.5), gray_prob=0.0)
    assert torch.allclose(half, noise / 2, atol=1e-6)


@pytest.mark.parametrize("options", [{"sigma": (3.0, 1.0)}, {"poisson_scale": (-1.0, 1.0)}, {"kind_weights": (1.0,)}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Noise(**options)
