"""Every parameter that any degradation draws has the law that its options state: 10,000 draws of each, fixed seeds."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from traiNNer.degradations import codec, video
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Images, Resizing
from traiNNer.registry import DEGRADATIONS

COUNT = 10_000
LEAST_P = 1e-4
"""Seeds are fixed: a law that holds gives the same p at every run, far above this."""


def uniform(low, high):
    """Kolmogorov and Smirnov's test for equally likely numbers."""

    def p(drawn):
        assert low <= drawn.min()
        assert drawn.max() <= high
        return stats.kstest(drawn, stats.uniform(low, high - low).cdf).pvalue if high > low else 1.0

    return p


def whole(low, high):
    """Pearson's chi-square test for equally likely whole numbers, both ends among them."""

    def p(drawn):
        numbers, counts = np.unique(drawn, return_counts=True)
        assert numbers.tolist() == list(range(low, high + 1))
        return stats.chisquare(counts).pvalue

    return p


def one_of(**weights):
    """The same for names of given weights."""

    def p(drawn):
        counts = np.array([(drawn == name.lstrip("_")).sum() for name in weights])
        assert counts.sum() == COUNT
        shares = np.array(list(weights.values()))
        return stats.chisquare(counts, shares / shares.sum() * COUNT).pvalue

    return p


def chance(probability):
    """The binomial test for something that happens or not."""
    return lambda drawn: stats.binomtest(int(drawn.sum()), COUNT, probability).pvalue


LAWS = {
    "blur": (
        {"kernels": ["iso", "plateau_iso", "sinc"], "kernel_weights": [3, 2, 1], "size": [3, 7], "sigma": [0.5, 2.5]},
        {
            "kernel": one_of(iso=3, plateau_iso=2, sinc=1),
            "radius": whole(1, 3),
            "sigma": uniform(0.5, 2.5),
            "sigma_across": uniform(0.5, 2.5),
            "angle": uniform(-np.pi, np.pi),
            "beta_generalized_below_1": chance(0.5),
            "beta_generalized_low": uniform(0.5, 1),
            "beta_generalized_high": uniform(1, 4),
            "beta_plateau_below_1": chance(0.5),
            "beta_plateau_low": uniform(0.4, 1),
            "beta_plateau_high": uniform(1, 2),
            "cutoff": uniform(0, 1),
        },
    ),
    "resize": (
        {"factor": [0.25, 1.5], "probs": [0.5, 0.3, 0.2], "filters": ["area", "lanczos"], "filter_weights": [1, 3]},
        {
            "way": one_of(up=5, down=3, keep=2),
            "down": uniform(0.25, 1),
            "up": uniform(1, 1.5),
            "filter": one_of(area=1, lanczos=3),
            "filter_back": one_of(area=1, lanczos=3),
        },
    ),
    "shrink": ({"filters": ["bicubic", "bilinear"]}, {"filter": one_of(bicubic=1, bilinear=1)}),
    "noise": (
        {"kinds": ["gaussian", "poisson", "speckle"], "kind_weights": [1, 2, 2], "gray_prob": 0.3, "sigma": [2, 9]},
        {
            "kind": one_of(gaussian=1, poisson=2, speckle=2),
            "gray": chance(0.3),
            "sigma": uniform(2, 9),
            "poisson_scale": uniform(0.05, 3),
            "speckle": uniform(1, 20),
        },
    ),
    "jpeg": (
        {"quality": [30, 59], "subsampling": ["444", "422", "420"], "subsampling_weights": [1, 1, 2]},
        {"quality": whole(30, 59), "subsampling": one_of(_444=1, _422=1, _420=2)},
    ),
    "chroma": (
        {"subsampling": ["422", "420", "411", "410"], "subsampling_weights": [4, 3, 2, 1]},
        {"subsampling": one_of(_422=4, _420=3, _411=2, _410=1)},
    ),
    "codec": (
        {"formats": ["jpeg", "webp"], "format_weights": [1, 4], "quality": [40, 60]},
        {"format": one_of(jpeg=1, webp=4), "quality": whole(40, 60)},
    ),
    "videocodec": (
        {"crf": [20, 32], "presets": ["veryfast", "medium"]},
        {"crf": whole(20, 32), "preset": one_of(veryfast=1, medium=1)},
    ),
    "usm": ({"radius": [1, 4], "amount": [0.2, 0.8]}, {"radius": uniform(1, 4), "amount": uniform(0.2, 0.8)}),
    "thicklines": ({"pixels": [1, 3]}, {"pixels": whole(1, 3), "strength": uniform(0.3, 0.8)}),
    "quantize": (
        {"levels": [4, 32], "dithers": ["none", "ordered", "noise"], "dither_weights": [2, 1, 1]},
        {"levels": whole(4, 32), "dither": one_of(none=2, ordered=1, noise=1)},
    ),
    "banding": ({"levels": [12, 48], "sigma": [0.5, 2]}, {"levels": whole(12, 48), "sigma": uniform(0.5, 2)}),
    "halftone": (
        {"period": [2.5, 6], "strength": [0.3, 0.9]},
        {"period": uniform(2.5, 6), "turn": uniform(0, 90), "strength": uniform(0.3, 0.9)},
    ),
}
OPTIONS = {"blur": {"beta_plateau": [0.4, 2]}, "resize": {"back": True}}
"""Those that bring further parameters."""


@pytest.fixture(scope="module", params=LAWS)
def drawn(request):
    """Return the laws of a kind and what it drew for 10,000 images of few pixels."""
    options, laws = LAWS[request.param]
    change = DEGRADATIONS.build(request.param, options | OPTIONS.get(request.param, {}))
    notes = {}
    draws = Draws(np.arange(COUNT), request.param, notes)
    pixels = torch.full((COUNT, 3, 1, 1), 0.5)
    if isinstance(change, Resizing):
        change(Images.of(pixels), draws, np.ones((COUNT, 2), dtype=np.int64))
    else:
        with pytest.MonkeyPatch.context() as patch:
            # 10,000 files take longer than all the rest.
            patch.setattr(codec, "written", lambda image, *_: image)
            patch.setattr(video, "filmed", lambda clip, *_: clip)
            change.on(Images.of(pixels), draws)
    return laws, dict(notes[request.param])


def test_every_parameter_has_its_law(drawn):
    laws, numbers = drawn
    assert set(numbers) == set(laws)
    found = {name: law(numbers[name]) for name, law in laws.items()}
    assert {name: p for name, p in found.items() if p < LEAST_P} == {}


def test_no_parameter_tells_of_another(drawn):
    _, numbers = drawn
    ranks = {
        name: np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1]
        for name, values in numbers.items()
    }
    for one, other in combinations(ranks, 2):
        # Five standard errors of the correlation of independent numbers.
        assert abs(np.corrcoef(ranks[one], ranks[other])[0, 1]) < 5 / np.sqrt(COUNT), (one, other)


def test_no_kind_is_left_out():
    assert set(DEGRADATIONS.names()) == set(LAWS)
