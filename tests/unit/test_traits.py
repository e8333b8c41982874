import pytest
from torch import nn

from traiNNer.registry import Registry
from traiNNer.traits import ArchTraits, LossTraits


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()


def test_traits_are_read_as_fields():
    archs = Registry("arch", ArchTraits)
    archs.register(Network, size_multiple=4, precisions=("fp32",))
    traits = archs["network"].traits
    assert traits == ArchTraits(size_multiple=4, precisions=("fp32",))
    assert traits.layouts == ("nchw", "nhwc")


@pytest.mark.parametrize(
    ("declared", "error", "text"),
    [
        ({"size_multipel": 4}, TypeError, "size_multipel"),
        ({"size_multiple": 0}, ValueError, "size_multiple must be at least 1, not 0"),
        ({"precisions": ("fp32", "int8")}, ValueError, "no such value 'int8'   known: fp32, bf16, fp16"),
        ({"precisions": ("bf16",)}, ValueError, "precisions must contain 'fp32'"),
        ({"layouts": ("nhwc",)}, ValueError, "layouts must contain 'nchw'"),
    ],
)
def test_wrong_declaration_is_refused_at_registration(declared, error, text):
    archs = Registry("arch", ArchTraits)
    with pytest.raises(error, match=text):
        archs.register(Network, **declared)
    assert "network" not in archs


@pytest.mark.parametrize(
    ("multiple", "least", "side", "fitting", "nearest"),
    [
        (1, 1, 7, 7, (7,)),
        (8, 1, 50, 56, (48, 56)),
        (8, 1, 3, 8, (8,)),
        (8, 16, 10, 16, (16,)),
        (8, 16, 24, 24, (24,)),
        (8, 20, 21, 24, (24,)),
        (8, 20, 30, 32, (24, 32)),
    ],
)
def test_sizes_that_fit(multiple, least, side, fitting, nearest):
    traits = ArchTraits(size_multiple=multiple, least_size=least)
    assert traits.fitting(side) == fitting
    assert traits.nearest(side) == nearest


def test_losses_are_not_separable_by_default():
    losses = Registry("loss", LossTraits)
    losses.register(Network)
    assert not losses["network"].traits.separable
