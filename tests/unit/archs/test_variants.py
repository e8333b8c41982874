"""Variants are the same builder with other defaults."""

from typing import Annotated

import pytest
from pydantic import Field, ValidationError
from torch import nn

from traiNNer.archs.traits import arch
from traiNNer.archs.variants import variant
from traiNNer.registry import ARCHS


def halving(scale: int, dim: Annotated[int, Field(gt=0)] = 8, depths: tuple[int, ...] = (2, 2)) -> nn.Module:
    """Halve.

    Args:
        dim: Channels.
        depths: Layers.
    """
    return nn.Conv2d(dim, scale, len(depths))


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    assert list(ARCHS)
    monkeypatch.setattr(ARCHS, "_components", dict(ARCHS._components))
    arch(scales=(2, 4), size_multiple=8, license="MIT")(halving)


def test_variant_has_other_defaults_each_of_which_can_be_set():
    build = variant("halving_s", halving, dim=4, scales=(2,))
    component = ARCHS["Halving_S"]
    assert (component.traits.family, component.traits.scales) == ("halving", (2,))
    assert (component.traits.size_multiple, component.traits.license) == (8, "MIT")
    assert component.build({}, scale=2).in_channels == 4
    assert component.build({"dim": 6, "depths": [1, 2, 3]}, scale=2).kernel_size == (3, 3)
    assert component.build({"dim": 6}, scale=2).in_channels == 6
    assert build(scale=2).in_channels == 4
    assert "dim: Channels." in (build.__doc__ or "")
    with pytest.raises(ValidationError, match="greater than 0"):
        component.options.parse({"dim": 0})


def test_summary_names_the_difference():
    assert (variant("halving_l", halving, depths=(6, 6, 6)).__doc__ or "").startswith("halving with depths 3 x 6.")
    assert (variant("halving_m", halving, about="The middle one.").__doc__ or "").startswith("The middle one.")


def test_option_that_the_base_has_not_is_refused():
    with pytest.raises(TypeError, match="halving has no option 'width'"):
        variant("halving_x", halving, width=3)


def test_paragonsr2_variant_takes_a_size_by_hand():
    network = ARCHS.build("paragonsr2_nano", {"hr_blocks": 0, "num_feat": 12}, scale=2)
    assert len(network.hr_head) == 0
    assert network.conv_in.out_channels == 12
