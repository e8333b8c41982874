import torch

from traiNNer.archs.reading import count_parts, name_of


def test_parts_of_a_list_are_counted():
    state = dict.fromkeys(["a.0.x", "a.0.y", "a.1.x", "b.7.x"], torch.zeros(1))
    assert (count_parts(state, "a."), count_parts(state, "c.")) == (2, 0)


def test_variant_has_every_option_that_was_found():
    sizes = {"small": {"dim": 4}, "deep": {"dim": 8, "blocks": 2}}
    assert name_of({"dim": 4, "blocks": 9}, sizes, "base") == "small"
    assert name_of({"dim": 8, "blocks": 2}, sizes, "base") == "deep"
    assert name_of({"dim": 8, "blocks": 3}, sizes, "base") == "base"
