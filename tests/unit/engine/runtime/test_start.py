import pytest
import torch
from enginekit import options_of
from torch import nn

import traiNNer.archs  # noqa: F401 - registers what the options name
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.errors import ConfigError


def test_device_is_chosen_with_a_reason(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert "num_gpu is 0" in start_runtime(options_of(num_gpu=0))[0].about
    for wanted in ("auto", 1):
        runtime, warnings = start_runtime(options_of(num_gpu=wanted))
        assert runtime.device.type == "cpu"
        assert any("num_gpu: 1, but no CUDA" in warning for warning in warnings) == (wanted == 1)
        assert "no CUDA or MPS device found" in runtime.about


def test_more_devices_than_processes_or_than_there_are_is_refused(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(ConfigError, match=r"torchrun --nproc_per_node 4.*--launcher auto"):
        start_runtime(options_of(num_gpu=4))
    with pytest.raises(ConfigError, match="num_gpu: 5, but this machine has 4 CUDA devices"):
        start_runtime(options_of(num_gpu=5))
    with pytest.raises(ConfigError, match="dist: true needs several processes: `torchrun"):
        start_runtime(options_of(dist=True), joins=True)


def test_number_of_processes_must_be_num_gpu(monkeypatch):
    for name, value in {"RANK": "1", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    for wanted in (1, 2):
        with pytest.raises(ConfigError, match=f"num_gpu: {wanted}, but 3 processes were started: set num_gpu: 3"):
            start_runtime(options_of(num_gpu=wanted), joins=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="3 processes were started here, but this machine has 2 CUDA devices"):
        start_runtime(options_of(num_gpu="auto"), joins=True)


def test_program_that_joins_nobody_is_alone(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert start_runtime(options_of(num_gpu=0))[0].world == 1


def test_fast_matmul_is_honoured_either_way():
    start_runtime(options_of(num_gpu=0, fast_matmul=True))
    assert torch.get_float32_matmul_precision() == "high"
    start_runtime(options_of(num_gpu=0))
    assert torch.get_float32_matmul_precision() == "highest"


def test_memory_format_reaches_the_network():
    runtime, _ = start_runtime(options_of(num_gpu=0, use_channels_last=True))
    network = runtime.place(nn.Conv2d(3, 8, 3))
    assert network.weight.is_contiguous(memory_format=torch.channels_last)


def test_seeds_decide_the_weights():
    weights = []
    for seed in (1, 1, 2):
        start_runtime(options_of(num_gpu=0, manual_seed=seed))
        weights.append(nn.Conv2d(3, 3, 3).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
