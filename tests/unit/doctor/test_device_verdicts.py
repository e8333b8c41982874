"""Verdicts on simulated devices."""

import pytest

from traiNNer.doctor.device_verdicts import (
    device_name,
    judge_compiling,
    judge_device,
    judge_device_memory,
    judge_precisions,
)
from traiNNer.doctor.machine import GIB, Facts, Graphics, Memory, Trial
from traiNNer.engine.runtime.device import Device

CPU = Device("cpu", "CPU", "no CUDA or MPS device found", threads=8, built_for="CUDA 12.8")
CPU_ONLY = Device("cpu", "CPU", "no CUDA or MPS device found", threads=8)
CARD = Device("cuda", "NVIDIA X", "CUDA is available", 8, 0, 1, 24 * GIB, "CUDA 12.8", "sm_86")
CARDS = Device("cuda", "NVIDIA X", "CUDA is available", 8, 0, 2, 24 * GIB, "CUDA 12.8", "sm_86")
SEEN = Graphics(("NVIDIA X",), "570.1", "is too old")


def one(judge, **facts):
    (finding,) = judge(Facts(**facts))
    return finding


def test_device_has_its_user_facing_name():
    assert device_name(Facts(device=CARD, cpu="Some CPU")) == "NVIDIA X"
    assert device_name(Facts(device=CPU, cpu="Some CPU")) == "CPU (Some CPU)"
    assert device_name(Facts(device=None, cpu="")) == "CPU"


def test_first_of_several_gpus_is_used():
    finding = one(judge_device, device=CARD)
    assert (finding.status, finding.found) == ("ok", "NVIDIA X (CUDA is available)")
    assert one(judge_device, device=CARDS).found.endswith(", the first of 2")


def test_machine_without_gpus_is_fine():
    finding = one(judge_device, device=CPU, cpu="Some CPU", graphics=Graphics())
    assert (finding.status, finding.fix) == ("ok", "")
    assert finding.found == "CPU (Some CPU), no CUDA or MPS device found"


@pytest.mark.parametrize(
    ("device", "settings", "graphics", "meaning", "fix"),
    [
        (CPU_ONLY, {}, SEEN, "made for the CPU only", "--index-url"),
        (CPU, {"CUDA_VISIBLE_DEVICES": " -1"}, SEEN, "CUDA_VISIBLE_DEVICES=' -1' hides", "unset CUDA_VISIBLE_DEVICES"),
        (CPU, {"CUDA_VISIBLE_DEVICES": ""}, SEEN, "CUDA_VISIBLE_DEVICES='' hides", "unset CUDA_VISIBLE_DEVICES"),
        (CPU, {"CUDA_VISIBLE_DEVICES": "0"}, SEEN, "cannot use the driver 570.1. torch says: is too old", "Update"),
        (CPU, {}, Graphics(("NVIDIA X",), None), "No NVIDIA driver is loaded", "Install NVIDIA's driver"),
        (CPU, {}, Graphics(("NVIDIA X",), None), "torch says: nothing", "--gpus all"),
    ],
)
def test_idle_gpu_is_explained(device, settings, graphics, meaning, fix):
    finding = one(judge_device, device=device, settings=settings, graphics=graphics)
    assert finding.status == "warning"
    assert "but there is: NVIDIA X" in finding.found
    assert meaning in finding.meaning
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("total", "free", "status", "words"),
    [
        (24, 0.1, "problem", "A run would end with out of memory."),
        (24, 11, "warning", "Other programs hold more than half of it"),
        (24, 13, "ok", ""),
        (2, 1.5, "warning", "Only small networks and batches fit."),
        (24, None, "problem", "A run would end with out of memory."),
    ],
)
def test_free_memory_decides(total, free, status, words):
    memory = Memory(total * GIB, None if free is None else int(free * GIB))
    finding = one(judge_device_memory, device_memory=memory)
    assert finding.status == status
    assert words in finding.meaning


def precisions(bf16: Trial, fp16: Trial = Trial(0.01), plain: Trial = Trial(0.01), device: Device = CARD):  # noqa: B008 - frozen
    found = judge_precisions(Facts(device=device, precisions={"float32": plain, "bf16": bf16, "fp16": fp16}))
    return {finding.check: finding for finding in found}


@pytest.mark.parametrize(
    ("trial", "status", "words"),
    [
        (Trial(0.005), "ok", "works, 2.0 times as fast as float32 (5.0 ms)"),
        (Trial(0.0095), "ok", "works, as fast as float32 (9.5 ms)"),
        (Trial(0.02), "warning", "works, but 2.0 times slower than float32 (20.0 ms)"),
        (Trial(None, "no kernel"), "warning", "does not work: no kernel"),
    ],
)
def test_half_precision_must_work_and_be_faster(trial, status, words):
    finding = precisions(trial)["bf16"]
    assert (finding.status, finding.found) == (status, words)
    assert finding.fix == ("" if status == "ok" else "Leave use_amp with amp_bf16 out.")


def test_fp16_matters_only_on_a_gpu():
    broken = Trial(None, "no kernel")
    assert precisions(Trial(0.01), broken)["fp16"].status == "warning"
    finding = precisions(Trial(0.01), broken, device=CPU)["fp16"]
    assert (finding.status, finding.found) == ("ok", "does not work; runs on the CPU do not use it")
    assert precisions(Trial(0.01), device=CPU)["fp16"].found.startswith("works;")


def test_no_other_verdict_without_float32():
    found = precisions(Trial(0.01), plain=Trial(None, "no kernel image"))
    assert list(found) == ["float32"]
    assert found["float32"].status == "problem"
    assert "no kernel image" in found["float32"].found
    assert "(sm_86)" in found["float32"].meaning


@pytest.mark.parametrize(
    ("trial", "status", "words"),
    [
        (Trial(12.4), "ok", "works (12 s for a small network)"),
        (Trial(None, "no g++"), "warning", "torch.compile does not work here: no g++; runs go without it"),
        (Trial(None, "too slow", is_timed_out=True), "warning", "timed out: too slow; runs go without it"),
    ],
)
def test_broken_compiler_falls_back_to_eager(trial, status, words):
    finding = one(judge_compiling, compiling=trial)
    assert (finding.status, finding.found) == (status, words)
