import random
import re
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

import traiNNer.archs  # noqa: F401 - registers what the options name
from traiNNer.batch import Batch
from traiNNer.config.options import ArchChoice, CommonOptions, TrainOptions
from traiNNer.engine.runtime.runtime import Runtime, is_out_of_memory, restore_optimizer, start_runtime
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS, StrictOptions


def options(**changes):
    values = {"name": "x", "scale": 2, "network_g": ArchChoice(type="paragonsr2_nano"), "datasets": {}} | changes
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
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(ConfigError, match="torchrun --nproc_per_node 4"):
        start_runtime(options(num_gpu=4))
    with pytest.raises(ConfigError, match="num_gpu: 5, but this machine has 4 CUDA devices"):
        start_runtime(options(num_gpu=5))
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


@pytest.fixture
def narrow(monkeypatch):
    """Register archs that declare less than all, for one test."""
    monkeypatch.setattr(ARCHS, "_components", dict(ARCHS._components))
    ARCHS.register(nn.Identity, name="plain", options=StrictOptions, precisions=("fp32",), layouts=("nchw",))
    ARCHS.register(nn.Identity, name="no_fp16", options=StrictOptions, precisions=("fp32", "bf16"))


@pytest.mark.parametrize(
    ("arch", "changes", "half", "text"),
    [
        ("plain", {"use_amp": True, "amp_bf16": True}, None, r"plain does not work in bf16: .*in float32$"),
        ("plain", {"use_amp": True}, None, r"plain does not work in fp16: .*in float32$"),
        ("no_fp16", {"use_amp": True}, None, r"no_fp16 does not work in fp16: .*\(amp_bf16: true works\)$"),
        ("no_fp16", {"use_amp": True, "amp_bf16": True}, torch.bfloat16, None),
        ("plain", {"use_channels_last": True}, None, r"plain does not work in channels_last"),
        ("plain", {}, None, None),
    ],
)
def test_what_the_network_does_not_declare_is_not_used_and_reported_once(narrow, arch, changes, half, text):
    network = ArchChoice(type=arch)
    wanted = options(num_gpu=0, **({"use_channels_last": False, "network_g": network} | changes))
    runtime, warnings = start_runtime(wanted)
    assert runtime.half is half
    assert runtime.memory_format is torch.contiguous_format
    assert len(warnings) == bool(text)
    assert all(re.search(text, warning) for warning in warnings)


def test_every_network_of_a_run_has_a_say(narrow):
    second = {"network_d": ArchChoice(type="plain")}
    given = options(num_gpu=0, use_amp=True, amp_bf16=True).model_dump(exclude={"network_g"})
    both = TrainOptions.model_construct(**given, network_g=ArchChoice(type="paragonsr2_nano"), **second)
    runtime, warnings = start_runtime(both)
    assert runtime.half is None
    assert runtime.memory_format is torch.contiguous_format
    assert [warning.split()[0] for warning in warnings] == ["plain", "plain"]


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
    with runtime.inference_with_saved_rng():
        torch.rand(5), np.random.rand(5), random.random()
    second = torch.rand(3), np.random.rand(3), random.random()
    assert torch.equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert first[2] == second[2]


def test_moments_take_the_memory_format_of_their_parameters():
    """A fused optimizer walks through memory; moments in another order would belong to other weights."""

    def trained(layout):
        torch.manual_seed(0)
        runtime = Runtime(torch.device("cpu"), "", memory_format=layout)
        layer = runtime.place(nn.Conv2d(3, 8, 3))
        return runtime, layer, torch.optim.AdamW(layer.parameters(), 0.1, fused=True)

    def step(runtime, layer, optimizer):
        images = runtime.to_float(torch.arange(300, dtype=torch.uint8).reshape(1, 10, 10, 3))
        optimizer.zero_grad()
        layer(images).square().sum().backward()
        optimizer.step()

    first = trained(torch.channels_last)
    step(*first)
    state = deepcopy(first[2].state_dict())
    weights = {name: value.clone() for name, value in first[1].state_dict().items()}
    step(*first)
    other = trained(torch.contiguous_format)
    other[1].load_state_dict(weights)
    restore_optimizer(other[2], state)
    step(*other)
    torch.testing.assert_close(other[1].weight, first[1].weight, rtol=1e-4, atol=1e-5)


def test_rank_0_works_for_all_and_its_errors_reach_all():
    runtime = Runtime(torch.device("cpu"), "")
    assert runtime.on_main(lambda: 3) == 3
    with pytest.raises(ConfigError, match="planted"):
        runtime.on_main(lambda: (_ for _ in ()).throw(ConfigError("planted")))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_recognized(error, expected):
    assert is_out_of_memory(error) is expected


def test_a_batch_can_be_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    batch = Batch(torch.zeros(1), torch.zeros(1), ("a",), skipped=("b",)).pin_memory()
    assert (batch.lq.item(), batch.gt.item(), batch.keys, batch.skipped) == (1, 1, ("a",), ("b",))
    assert Batch(torch.zeros(1), None, ("a",)).pin_memory().gt is None


def test_seeds_decide_the_weights():
    weights = []
    for seed in (1, 1, 2):
        start_runtime(options(num_gpu=0, manual_seed=seed))
        weights.append(nn.Conv2d(3, 3, 3).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
