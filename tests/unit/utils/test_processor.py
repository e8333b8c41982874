"""The name of the processor, and what a resume makes of another one."""

import torch

from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.utils.processor import cpu_name


def test_processor_is_named(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Xeon E5\nmodel name\t: other\n")
    assert cpu_name(tmp_path) == "Xeon E5"
    assert cpu_name(tmp_path / "nowhere") == cpu_name(tmp_path / "nowhere")


def test_another_processor_is_another_environment(monkeypatch):
    runtime = Runtime(torch.device("cpu"), "")
    before = runtime.environment()
    assert runtime.environment() == before
    monkeypatch.setattr("traiNNer.engine.runtime.runtime.cpu_name", lambda: "Xeon E5")
    assert runtime.environment()["device"] == "cpu, Xeon E5"
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    assert runtime.environment()["processor"] == "DEFAULT"
