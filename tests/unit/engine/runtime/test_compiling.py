"""Runs with `use_compile` where nothing can compile, and where compiling fails."""

import shutil
from importlib import util

import pytest
import torch
from enginekit import options_of

from traiNNer.engine.runtime import compiling
from traiNNer.engine.runtime.compiling import choose_compiling, compiler_errors
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def chosen(device, **options):
    warnings = []
    return choose_compiling(options_of(**options), device, warnings), warnings


@pytest.mark.parametrize("there", [True, False])
def test_without_a_compiler_networks_run_as_they_are(monkeypatch, there):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiling.sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if there else None)
    text = "use_compile is ignored: on the CPU it needs a C++ compiler, and there is no g++ (CXX names another)."
    compiles, warnings = chosen(CPU, use_compile=True)
    assert compiles is there
    assert [text in warning for warning in warnings] == [True] * (not there)
    assert chosen(CPU, use_compile=False) == chosen(CPU, use_compile="auto") == (False, [])


def test_compiler_that_the_environment_names_is_sought(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "there is no no-such-compiler" in chosen(CPU, use_compile=True)[1][0]


@pytest.mark.parametrize("there", [True, False])
def test_cuda_needs_triton(monkeypatch, there):
    monkeypatch.setattr(compiling, "find_spec", lambda name: util.find_spec("json") if there else None)
    compiles, warnings = chosen(CUDA, use_compile=True)
    assert compiles is there
    assert [("triton" in text) for text in warnings] == [True] * (not there)


def test_run_without_a_compiler_says_so_and_calls_the_network_itself(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    runtime, warnings = start_runtime(options_of(num_gpu=0, use_compile=True))
    network = torch.nn.Identity()
    assert [text.startswith("use_compile is ignored: ") for text in warnings] == [True]
    assert runtime.environment()["compiled"] is False
    assert runtime.upscaler(network) is network


def test_failure_of_the_compiler_is_no_traceback():
    from torch._dynamo.exc import TorchDynamoException

    text = r"^use_compile: the network cannot be compiled \(backend='inductor' raised: CppCompileError: no ld\)\. Set "
    with pytest.raises(ConfigError, match=text), compiler_errors():
        raise TorchDynamoException("backend='inductor' raised:\n\nCppCompileError: no ld\nmore")


def test_other_errors_pass():
    from torch._dynamo.exc import TorchDynamoException

    for error in (RuntimeError("sizes differ"), TorchDynamoException("x\nCUDA out of memory")):
        with pytest.raises(type(error)) as caught, compiler_errors():
            raise error
        assert caught.value is error
