"""Tests that a CUDA device has to pass; those that mean something on a CPU run there as well, in the everyday suite."""

import pytest
import torch

REASON = "needs a CUDA device"


def pytest_runtest_setup(item):
    """Skip what is marked `gpu` where there is no device."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip(REASON)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Return the CPU, and the first CUDA device."""
    return torch.device(request.param, 0) if request.param == "cuda" else torch.device("cpu")


@pytest.fixture
def cuda():
    """Return the first CUDA device, with nothing in its cache and no peak."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.device("cuda", 0)
