"""SCUNet_aaf6aa against numbers of an independent implementation with the same weights."""

import pytest
from archkit import probe

from traiNNer.archs.spandrel.scunet_aaf6aa import infer_options
from traiNNer.registry import ARCHS
from traiNNer.utils.meta import shapes_only


@pytest.mark.parametrize(
    ("scale", "numbers"),
    [(1, [-0.0233926, 0.0457969, -0.0534695]), (2, [-0.00258392, 0.00104335, -0.00302633])],
)
def test_output_is_that_of_the_original(scale, numbers):
    network = ARCHS.build("scunet_aaf6aa", {"config": [1] * 7}, scale=scale)
    assert probe(network, 64, 64, gain=0.05) == pytest.approx(numbers, rel=1e-4)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_options_are_read_from_the_weights(scale):
    options = {"config": [1, 2, 1, 3, 1, 2, 1], "residual": scale != 2}
    with shapes_only():
        found = infer_options(ARCHS.build("scunet_aaf6aa", options, scale=scale).state_dict())
        plain = infer_options(ARCHS.build("scunet", scale=1).state_dict())
    assert found == {"type": "scunet_aaf6aa", "in_nc": 3, "dim": 64, "scale": scale} | options
    assert plain is None
