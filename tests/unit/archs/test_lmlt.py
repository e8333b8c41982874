"""LMLT against numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.lmlt import SIZES, WindowAttention, infer_options
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (2, {"dim": 8, "n_blocks": 2}, [-0.072402, 2.559166, -3.93965]),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("lmlt", options, scale=scale), 64, 64) == pytest.approx(numbers, abs=2e-5)


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=2).state_dict())
    assert (found["type"], found["scale"]) == (name, 2)
    assert infer_options({"to_feat.weight": torch.zeros(1)}) is None


def test_windows_do_not_see_each_other():
    torch.manual_seed(0)
    layer, x = WindowAttention(4), torch.rand(1, 4, 16, 24, requires_grad=True)
    seen = torch.autograd.grad(layer(x)[0, :, 3, 10].sum(), x)[0].abs().sum((0, 1)) > 0
    assert seen[:8, 8:16].all()
    assert seen.sum() == 64
