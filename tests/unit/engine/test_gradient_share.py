import re

import pytest
import torch

from traiNNer.engine.gradient_share import GradientShares, ShareWatch


def gradient(term, tensors):
    return torch.cat([part.flatten() for part in torch.autograd.grad(term, tensors, retain_graph=True)])


def squares(**factors):
    output = torch.rand(2, 3, 4, 4, requires_grad=True)
    terms = {name: factor * output.sum() for name, factor in factors.items()}
    return GradientShares(lambda _: True).squares(terms, output, gradient)


def test_shares_are_norms_over_their_sum():
    found = GradientShares.of(squares(l1=3.0, gan=-1.0))
    assert {name: value.item() for name, value in found.items()} == pytest.approx({"share/l1": 0.75, "share/gan": 0.25})


def test_squares_of_micro_batches_add_up_to_those_of_the_batch():
    output = torch.rand(4, 3, 2, 2, requires_grad=True)
    shares = GradientShares(lambda _: True)
    whole = shares.squares({"a": output.square().sum(), "b": output.sum()}, output, gradient)
    parts = [part.detach().requires_grad_() for part in output.split([1, 3])]
    halves = [shares.squares({"a": part.square().sum(), "b": part.sum()}, part, gradient) for part in parts]
    for name, value in whole.items():
        torch.testing.assert_close(value, halves[0][name] + halves[1][name])


def test_one_term_and_no_output_have_no_shares():
    assert squares(l1=1.0) == {}
    assert GradientShares(lambda _: True).squares({"a": torch.ones(()), "b": torch.ones(())}, None, gradient) == {}
    assert GradientShares.of({}) == {}


def test_terms_without_any_pull_have_no_share():
    found = GradientShares.of({"a": torch.tensor(0.0), "b": torch.tensor(0.0)})
    assert [value.item() for value in found.values()] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("share", "text"), [(0.005, "gan makes 0.5% .* hardly counts"), (0.97, "gan makes 97.0% .* nothing to the others")]
)
def test_fifth_line_in_a_row_warns_once(share, text):
    watch, line = ShareWatch(), {"share/gan": share, "share/l1": 0.5, "loss/gan": 7.0}
    for before in ([line] * 4, [{"share/gan": 0.5}], [line] * 4):
        assert [text for values in before for text in watch.look(values)] == []
    (warning,) = watch.look(line)
    assert re.match(text, warning)
    assert all(watch.look(line) == [] for _ in range(5))
