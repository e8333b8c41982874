"""Optimizers are built, stepped and saved without importing torch's compiler, which takes seconds."""

import subprocess
import sys
from types import SimpleNamespace

import torch

from traiNNer.engine.runtime import dynamo
from traiNNer.engine.runtime.dynamo import NAME, without_compiler

# In a separate process: elsewhere the compiler may be loaded, and torch remembers what it did with it.
PROGRAM = f"""
import sys
import torch
from traiNNer.engine.runtime.dynamo import leave_compiler_out
from traiNNer.engine.runtime.optimizer import step_if

leave_compiler_out()
weight = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.AdamW([weight], 0.1)
optimizer.zero_grad()
weight.square().sum().backward()
step_if(torch.tensor(True), optimizer, read=True)
optimizer.load_state_dict(optimizer.state_dict())
print((weight < 1).all().item(), "{NAME}" in sys.modules, "_dynamo" in vars(torch))
import torch._dynamo
print(hasattr(torch._dynamo, "optimize"))
"""


def test_optimizer_does_without_the_compiler():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False", "False", "True"], done.stderr


def test_compiler_that_is_loaded_is_used(monkeypatch):
    loaded = SimpleNamespace()
    monkeypatch.setitem(sys.modules, NAME, loaded)
    with without_compiler():
        assert sys.modules[NAME] is loaded


def test_whoever_needs_the_compiler_gets_the_real_one(monkeypatch):
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    monkeypatch.delitem(vars(torch), "_dynamo", raising=False)  # getattr would import it
    real = SimpleNamespace(optimize="optimized")
    monkeypatch.setattr(dynamo, "import_module", lambda name: {NAME: real}[name])
    with without_compiler():
        idle = sys.modules[NAME]
        assert idle.graph_break() is None
        assert idle.optimize == "optimized"
        assert NAME not in sys.modules
