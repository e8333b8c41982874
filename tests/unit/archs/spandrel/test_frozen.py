import pytest
from torch import nn

from traiNNer.archs.spandrel.frozen import freeze
from traiNNer.registry import ARCHS


def test_only_what_matches_is_frozen():
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    assert freeze(network, r"^1\.") is network
    assert [name for name, part in network.named_parameters() if part.requires_grad] == ["0.weight", "0.bias"]


def test_pattern_without_a_match_is_an_error():
    with pytest.raises(LookupError, match="Linear has no parameter like 'eval'"):
        freeze(nn.Linear(1, 1), "eval")


def test_fused_convolutions_of_span_are_not_trained():
    network = ARCHS.build("span", {"feature_channels": 8}, scale=2)
    frozen = [name for name, part in network.named_parameters() if not part.requires_grad]
    assert len(frozen) == 40
    assert all(".eval_conv." in name for name in frozen)
