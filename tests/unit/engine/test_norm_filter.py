import math
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from traiNNer.engine.norm_filter import NormFilter

ROOT = Path(__file__).resolve().parents[3]
NORMS = st.sampled_from([1.0, 9.9, 10.0, 10.1, 1e4, math.inf, math.nan])


@pytest.fixture(scope="module")
def simulated():
    spec = spec_from_file_location("simulated_clipping", ROOT / "benchmarks/automations/simulated_clipping.py")
    module = module_from_spec(spec)
    path = list(sys.path)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
    sys.path[:] = path


def accepts(norm_filter: NormFilter, norm: float, limit: float = 10.0) -> bool:
    value = torch.tensor(norm)
    answer = norm_filter.accepts(value, torch.isfinite(value), limit)
    assert answer.dtype == torch.bool
    assert answer.shape == ()
    return bool(answer)


def test_without_a_limit_the_result_is_finite():
    finite = torch.tensor(False)
    assert NormFilter().accepts(torch.tensor(math.nan), finite, math.inf) is finite


def test_only_norms_above_the_limit_are_skipped():
    assert accepts(NormFilter(), 10.0)
    assert not accepts(NormFilter(), 10.1)


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_nonfinite_update_is_never_made_or_counted(norm):
    norm_filter = NormFilter()
    assert not any(accepts(norm_filter, norm) for _ in range(20))
    assert [accepts(norm_filter, 11.0) for _ in range(6)] == [False] * 5 + [True]


def test_finite_norm_of_a_nonfinite_loss_is_not_counted():
    norm_filter = NormFilter()
    for _ in range(20):
        assert not bool(norm_filter.accepts(torch.tensor(99.0), torch.tensor(False), 10.0))
    assert norm_filter.state_dict() == {"streak": 0}


def test_sixth_norm_in_a_row_above_the_limit_is_a_new_regime():
    norm_filter = NormFilter()
    assert [accepts(norm_filter, 11.0) for _ in range(9)] == [False] * 5 + [True] * 4
    assert accepts(norm_filter, 9.0)
    assert not accepts(norm_filter, 11.0)


def test_norm_within_the_limit_resets_the_count():
    norm_filter = NormFilter()
    assert [accepts(norm_filter, norm) for norm in (11.0, 11.0, 11.0, 1.0)] == [False, False, False, True]
    assert [accepts(norm_filter, 11.0) for _ in range(6)] == [False] * 5 + [True]


@given(st.lists(NORMS, max_size=30), st.lists(NORMS, max_size=30))
def test_restored_norm_filter_continues_identically(before, after):
    one, other = NormFilter(), NormFilter()
    for norm in before:
        accepts(one, norm)
    other.load_state_dict(one.state_dict())
    assert [accepts(one, norm) for norm in after] == [accepts(other, norm) for norm in after]


def test_simulation_reimplementation_agrees(simulated):
    @given(st.lists(st.tuples(NORMS, st.sampled_from([10.0, 10.0, 10.0, 2.0, math.inf])), max_size=60))
    def agree(steps):
        norm_filter, twin = NormFilter(), simulated.FloatNormFilter()
        assert [accepts(norm_filter, *step) for step in steps] == [twin.accepts(*step) for step in steps]

    agree()


@pytest.mark.gpu
def test_no_device_sync():
    norm_filter, norm = NormFilter(), torch.tensor(11.0, device="cuda")
    finite = torch.isfinite(norm)
    norm_filter.accepts(norm, finite, 10.0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        norm_filter.accepts(norm, finite, 10.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
