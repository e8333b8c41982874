"""`use_compile: auto`: one step on trial, then compiled networks or the plain ones."""

import shutil
import sys
from functools import partial

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd

from traiNNer.engine.checkpoint.weights_file import read_weights
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime import compiling
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.run.build import build_networks, open_dataset
from traiNNer.run.compiling import settle_compiling
from traiNNer.run.train import train

TRIAL = "use_compile: auto: one step is compiled on trial, often for minutes."
NOT = "use_compile: auto: networks are not compiled: {}. They run as they are."


def as_it_is(graph, inputs):
    return graph.forward


def broken(graph, inputs):
    raise ValueError("no code for this")


@pytest.fixture
def compiled_by(monkeypatch):
    """Return a function that sets torch's backend; a compiler is there, but not called."""
    monkeypatch.setenv("CXX", sys.executable)
    inner = torch.compile

    def choose(backend):
        torch._dynamo.reset()
        monkeypatch.setattr(torch, "compile", partial(inner, backend=backend))

    return choose


@pytest.fixture
def settled(loaded, book):
    """Return a function that settles the matter for a new network; returns runtime, options and network."""

    def settle(*sets):
        options = loaded("use_compile=auto", "num_gpu=0", *sets).options
        runtime, network = start_runtime(options)[0], build_networks(options)["net_g"]
        assert not runtime.use_compile
        settle_compiling(options, runtime, network, open_dataset(options, "train", book), book)
        return runtime, network

    return settle


@pytest.fixture
def trained(loaded, place, capsys):
    """Return a function that trains a run and returns the weights that it ends with, and its log."""

    def run(name, *sets):
        given, log = loaded(f"name={name}", *sets), Logbook()
        try:
            assert train(given, log, check=False, overwrite=False) == "finished: 2/2"
        finally:
            log.close()
        return read_weights(place / f"experiments/{name}/models/net_g_2.safetensors").tensors, capsys.readouterr().out

    return run


def test_network_that_compiles_is_compiled_and_the_trial_leaves_no_trace(settled, compiled_by, book):
    compiled_by(as_it_is)
    runtime, network = settled()
    assert runtime.use_compile
    assert runtime.environment()["compiled"] is True
    assert book.infos == [TRIAL]
    assert book.warnings == []
    drawn = torch.rand(3)
    torch.manual_seed(0)
    other = settled()[1].state_dict()
    assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.rand(3), drawn)


@pytest.mark.parametrize("backend", [broken, aot_autograd(fw_compiler=as_it_is, bw_compiler=broken)])
def test_failure_in_either_direction_is_one_line_and_the_run_is_that_without(compiled_by, trained, backend):
    compiled_by(backend)
    auto, said = trained("auto", "use_compile=auto")
    lines = [line for line in said.splitlines() if "networks are not compiled" in line]
    assert len(lines) == 1
    assert "no code for this" in lines[0]
    plain, _ = trained("plain")
    assert all(torch.equal(value, auto[key]) for key, value in plain.items())


def test_compiled_run_trains(compiled_by, trained):
    compiled_by(as_it_is)
    (auto, said), (plain, _) = trained("auto", "use_compile=auto"), trained("plain")
    assert TRIAL in said
    assert "networks are not compiled" not in said
    assert all(torch.allclose(value, auto[key], atol=1e-5) for key, value in plain.items())


def test_without_a_compiler_nothing_is_tried(settled, monkeypatch, book):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiling.sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not settled()[0].use_compile
    missing = "on the CPU it needs a C++ compiler, and there is no g++ (CXX names another)"
    assert (book.infos, book.warnings) == ([], [NOT.format(missing)])


def test_failure_of_another_rank_is_everybodys(settled, compiled_by, monkeypatch, book):
    compiled_by(as_it_is)
    answers = iter([[None, None], [None, "no memory"]])
    monkeypatch.setattr("traiNNer.engine.runtime.runtime.Runtime.gather", lambda self, value: next(answers))
    assert not settled()[0].use_compile
    assert book.warnings == [NOT.format("no memory")]
