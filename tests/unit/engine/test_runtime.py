import random

import numpy as np
import pytest
import torch
from torch import nn

from traiNNer.batch import Batch
from traiNNer.config.options import ArchChoice, CommonOptions
from traiNNer.engine.runtime import Runtime, start_runtime
from traiNNer.errors import ConfigError


def options(**changes):
    values = {"name": "x", "scale": 2, "network_g": ArchChoice(type="x"), "datasets": {}} | changes
    return CommonOptions(**values)


@pytest.fixture(autouse=True)
def restore_switches():
    precision = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(precision)


def test_the_device_is_chosen_with_a_reason(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert "num_gpu is 0" in start_runtime(options(num_gpu=0))[0].about
    for wanted in ("auto", 1):
        runtime, _ = start_runtime(options(num_gpu=wanted))
        assert runtime.device.type == "cpu"
        assert "no CUDA or MPS device found" in runtime.about


def test_what_cannot_be_had_is_refused_with_the_command_that_would(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="torchrun --nproc_per_node 4"):
        start_runtime(options(num_gpu=4))
    with pytest.raises(ConfigError, match="torchrun"):
        start_runtime(options(dist=True))


def test_half_precision_on_the_cpu():
    runtime, warnings = start_runtime(options(num_gpu=0, use_amp=True))
    assert runtime.half is None
    assert runtime.scaler is None
    assert len(warnings) == 1
    assert "float32" in warnings[0]
    runtime, warnings = start_runtime(options(num_gpu=0, use_amp=True, amp_bf16=True))
    assert warnings == []
    seen = []
    layer = nn.Conv2d(3, 3, 1)
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    output = runtime.upscaler(layer)(torch.rand(1, 3, 4, 4))
    assert seen == [torch.bfloat16]
    assert output.dtype is torch.float32


def test_fast_matmul_is_honoured_either_way():
    start_runtime(options(num_gpu=0, fast_matmul=True))
    assert torch.get_float32_matmul_precision() == "high"
    start_runtime(options(num_gpu=0))
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_integers_become_exact_floats_on_the_device(layout):
    runtime = Runtime(torch.device("cpu"), "", memory_format=layout)
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    deep = torch.from_numpy(np.arange(65536, dtype=np.uint16).reshape(1, 256, 256, 1).repeat(3, 3))
    batch = runtime.move(Batch(levels, deep, ("a",)))
    assert batch.lq.shape == (1, 3, 16, 16)
    assert torch.equal(batch.lq[0, 0].flatten(), torch.arange(256) / 255)
    assert torch.equal(batch.gt[0, 1].flatten(), torch.arange(65536) / 65535)
    assert batch.lq.is_contiguous(memory_format=layout)


def test_the_memory_format_reaches_the_network():
    runtime, _ = start_runtime(options(num_gpu=0, use_channels_last=True))
    network = runtime.place(nn.Conv2d(3, 8, 3))
    assert network.weight.is_contiguous(memory_format=torch.channels_last)


def test_random_states_come_back_and_a_guarded_block_leaves_no_trace():
    runtime = Runtime(torch.device("cpu"), "")
    runtime.set_rng_state(runtime.rng_state())
    state = runtime.rng_state()
    first = torch.rand(3), np.random.rand(3), random.random()
    runtime.set_rng_state(state)
    with runtime.undisturbed():
        torch.rand(5), np.random.rand(5), random.random()
    second = torch.rand(3), np.random.rand(3), random.random()
    assert torch.equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert first[2] == second[2]


def test_seeds_decide_the_weights():
    weights = []
    for seed in (1, 1, 2):
        start_runtime(options(num_gpu=0, manual_seed=seed))
        weights.append(nn.Conv2d(3, 3, 3).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
