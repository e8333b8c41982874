"""What a network costs, against published counts and convolutions counted by hand."""

import pytest
import torch
from torch import nn

from traiNNer.measuring.networks import measure_network, multiply_adds, step_time, usual_scale
from traiNNer.registry import ARCHS
from traiNNer.traits import ArchTraits


@pytest.mark.parametrize(
    ("name", "giga"),
    [("compact", 137.9), ("span_s", 95.1), ("safmn", 51.5), ("plksr_tiny", 540.6), ("seemore_t", 45), ("drct", 4130)],
)
def test_multiply_adds_are_those_that_are_published(name, giga):
    cost = measure_network(ARCHS[name], 2)
    assert cost.multiply_adds / 1e9 == pytest.approx(giga, rel=0.02)
    assert cost.step_s is None


def test_convolutions_are_counted_by_hand():
    component = ARCHS["compact"]
    pixels = 640 * 360
    by_hand = (3 * 64 + 16 * 64 * 64 + 64 * 12) * 9 * pixels
    assert measure_network(component, 2).multiply_adds == by_hand


def test_parameters_that_are_never_trained_do_not_count():
    whole = sum(part.numel() for part in ARCHS.build("span_f32", scale=2).parameters())
    assert measure_network(ARCHS["span_f32"], 2).parameters < whole


def test_network_that_reads_its_features_is_computed_small():
    class Reader(nn.Module):
        def forward(self, x):
            return nn.functional.interpolate(x, scale_factor=2) * float(x.mean() > 0)

    network = Reader()
    assert multiply_adds(ARCHS["seemore_t"], 2, network) > 0  # the arch is built again, and counted


def test_step_is_timed():
    torch.manual_seed(0)
    assert 0 < step_time(ARCHS["superultracompact"], 2) < 600


@pytest.mark.parametrize(("scales", "wanted", "usual"), [((), 3, 3), ((1,), 2, 1), ((2, 4), 3, 2), ((4, 8), 2, 4)])
def test_nearest_scale_is_taken(scales, wanted, usual):
    assert usual_scale(ArchTraits(scales=scales), wanted) == usual
