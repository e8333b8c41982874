"""ArtCNN against numbers of an independent implementation with the same weights."""

import pytest
import torch
from archkit import probe

from traiNNer.archs.artcnn import SIZES, infer_options, odd
from traiNNer.registry import ARCHS


@pytest.mark.parametrize(
    ("scale", "options", "numbers"),
    [
        (2, {"filters": 8, "n_block": 2}, [-0.10149, 0.998256, -1.570769]),
    ],
)
def test_output_is_that_of_the_original(scale, options, numbers):
    assert probe(ARCHS.build("artcnn", options, scale=scale)) == pytest.approx(numbers, abs=2e-6)


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=2).state_dict())
    assert (found["type"], found["scale"]) == (name, 2)
    assert infer_options({"conv0.weight": torch.zeros(1)}) is None


def test_kernel_without_a_middle_is_refused():
    assert odd(5) == 5
    with pytest.raises(ValueError, match="odd"):
        odd(4)
