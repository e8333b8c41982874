import re

import pytest
import torch
from enginekit import options_of
from torch import nn

import traiNNer.archs  # noqa: F401 - registers what the options name
from traiNNer.config.options import ArchChoice, TrainOptions
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.registry import ARCHS, StrictOptions


@pytest.fixture
def narrow(monkeypatch):
    """Register archs with limited traits for one test."""
    monkeypatch.setattr(ARCHS, "_components", dict(ARCHS._components))
    ARCHS.register(nn.Identity, name="plain", options=StrictOptions, precisions=("fp32",), layouts=("nchw",))
    ARCHS.register(nn.Identity, name="no_fp16", options=StrictOptions, precisions=("fp32", "bf16"))


def test_half_precision_on_the_cpu():
    runtime, warnings = start_runtime(options_of(num_gpu=0, use_amp=True))
    assert runtime.half is None
    assert runtime.scaler is None
    assert warnings == ["use_amp with fp16 is not available on the CPU: training in float32 (amp_bf16: true works)"]
    runtime, warnings = start_runtime(options_of(num_gpu=0, use_amp=True, amp_bf16=True))
    assert warnings == []
    seen = []
    layer = nn.Conv2d(3, 3, 1)
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    output = runtime.upscaler(layer)(torch.rand(1, 3, 4, 4))
    assert seen == [torch.bfloat16]
    assert output.dtype is torch.float32


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
def test_undeclared_network_trait_is_unused_and_reported_once(narrow, arch, changes, half, text):
    network = ArchChoice(type=arch)
    wanted = options_of(num_gpu=0, **({"use_channels_last": False, "network_g": network} | changes))
    runtime, warnings = start_runtime(wanted)
    assert runtime.half is half
    assert runtime.memory_format is torch.contiguous_format
    assert len(warnings) == bool(text)
    assert all(re.search(text, warning) for warning in warnings)


def test_every_network_is_asked(narrow):
    second = {"network_d": ArchChoice(type="plain")}
    given = options_of(num_gpu=0, use_amp=True, amp_bf16=True).model_dump(exclude={"network_g"})
    both = TrainOptions.model_construct(**given, network_g=ArchChoice(type="paragonsr2_nano"), **second)
    runtime, warnings = start_runtime(both)
    assert runtime.half is None
    assert runtime.memory_format is torch.contiguous_format
    assert [warning.split()[0] for warning in warnings] == ["plain", "plain"]
