"""Random numbers: their laws, and what they depend on."""

import numpy as np
import pytest
import torch
from scipy import stats

from traiNNer.degradations.draws import GOLDEN, LEVELS, Draws, _mixed, _mixed_32, mixed_in_python, normal_of

MANY = np.arange(10_000)
LEAST_P = 1e-4
"""Fixed seeds: a law that holds gives the same p at every run, far above this."""


def test_uniform_numbers_are_uniform():
    drawn = Draws(MANY, "blur").uniform("sigma", 0.2, 3.0)
    assert stats.kstest(drawn, stats.uniform(0.2, 2.8).cdf).pvalue > LEAST_P
    assert drawn.min() >= 0.2
    assert drawn.max() < 3.0


def test_whole_numbers_choices_and_chances_are_as_often_as_they_should_be():
    draws = Draws(MANY, "jpeg")
    _, counts = np.unique(draws.integer("quality", 30, 34), return_counts=True)
    assert len(counts) == 5
    assert stats.chisquare(counts).pvalue > LEAST_P
    places, weights = draws.choice("kind", ("a", "b", "c"), (1, 2, 1)), np.array([1, 2, 1]) / 4
    assert stats.chisquare(np.bincount(places), weights * len(MANY)).pvalue > LEAST_P
    assert stats.binomtest(int(draws.chance("gray", 0.3).sum()), len(MANY), 0.3).pvalue > LEAST_P
    assert not draws.chance("never", 0.0).any()
    assert draws.chance("always", 1.0).all()
    assert set(draws.choice("kind", ("a", "b"), (0, 1))) == {1}


def test_every_order_is_equally_likely():
    ranks = Draws(MANY, "order").ranks("order", 3)
    _, counts = np.unique(ranks @ (9, 3, 1), return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > LEAST_P


def test_fields_have_their_law_and_no_two_pixels_share_a_number():
    like = torch.zeros(2, 3, 60, 60)
    normal, uniform = Draws([5, 6], "noise").normal("n", like), Draws([5, 6], "noise").field("u", like)
    assert stats.kstest(normal.flatten().numpy(), stats.norm.cdf).pvalue > LEAST_P
    assert stats.kstest(uniform.flatten().numpy(), stats.uniform.cdf).pvalue > LEAST_P
    flat = normal.reshape(6, -1).double()
    between = torch.corrcoef(flat) - torch.eye(6)
    assert between.abs().max() < 5 / 60  # five standard errors
    shifted = (normal[..., 1:] * normal[..., :-1]).mean()
    assert shifted.abs() < 0.05
    assert uniform.min() > 0
    assert uniform.max() < 1


@pytest.mark.parametrize("change", [{"seeds": [8]}, {"step": "noise 2"}, {"name": "m"}])
def test_seed_step_and_name_each_make_other_numbers(change):
    like = torch.zeros(1, 3, 8, 8)

    def drawn(seeds=(7,), step="noise", name="n"):
        draws = Draws(seeds, step)
        return draws.normal(name, like), draws.uniform(name, 0, 1)

    first, other = drawn(), drawn(**change)
    assert torch.isclose(first[0], other[0]).float().mean() < 0.05
    assert first[1] != other[1]


def test_an_image_draws_the_same_in_any_batch_and_size():
    large, small = torch.zeros(3, 3, 20, 30), torch.zeros(1, 3, 11, 7)
    together, alone = Draws([1, 2, 3], "s"), Draws([2], "s")
    assert torch.equal(together.normal("n", large)[1:2, :, :11, :7], alone.normal("n", small))
    assert torch.equal(together.field("n", large)[1:2, :, :11, :7], alone.field("n", small))
    assert together.uniform("x", 0, 1)[1] == alone.uniform("x", 0, 1)[0]
    assert together.part(np.array([1])).uniform("x", 0, 1) == alone.uniform("x", 0, 1)


def test_numbers_are_those_of_splitmix64():
    # Known answers of the reference generator: its first outputs for the state 0 (Steele, Lea and Flood 2014).
    first = _mixed(np.array([GOLDEN], dtype=np.uint64))
    assert first[0] == 0xE220A8397B1DCDAF
    second = _mixed(np.array([(2 * GOLDEN) % 2**64], dtype=np.uint64))
    assert second[0] == 0x6E789E6AA1B965F4


def test_python_and_numpy_mix_to_the_same():
    numbers = np.array([0, 1, 2**63, 2**64 - 1, GOLDEN], dtype=np.uint64)
    assert [mixed_in_python(int(number)) for number in numbers] == _mixed(numbers).tolist()


def test_normal_numbers_have_a_variance_of_one():
    numbers = normal_of(torch.arange(LEVELS, dtype=torch.int32)).double()
    assert numbers.mean().abs() < 1e-6
    assert numbers.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert 4 < numbers.max() < 4.5


def test_pixels_are_mixed_in_32_bits():
    def in_python(x):
        x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
        x = ((x ^ (x >> 15)) * 0x846CA68B) % 2**32
        return x ^ (x >> 16)

    numbers = [0, 1, 77, 2**31, 2**32 - 1]
    given = torch.tensor(numbers, dtype=torch.int64).to(torch.int32)
    assert [value % 2**32 for value in _mixed_32(given).tolist()] == [in_python(number) for number in numbers]


def test_what_is_drawn_is_written_down():
    notes = {}
    drawn = Draws([1, 2], "blur", notes).uniform("sigma", 0, 1)
    assert notes["blur"][0][0] == "sigma"
    assert np.array_equal(notes["blur"][0][1], drawn)
