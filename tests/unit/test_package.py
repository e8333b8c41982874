"""The public API of `import traiNNer`."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

import traiNNer
from traiNNer import api
from traiNNer.errors import ConfigError
from traiNNer.zero_config.create import create_zero_config_training


def test_import_sets_thread_waiting_without_heavy_imports():
    script = "import os, sys, traiNNer; print(os.environ.get('OMP_WAIT_POLICY'), *sorted(sys.modules))"
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    policy, *loaded = done.stdout.split()
    assert policy == "passive"
    assert not {"torch", "numpy", "pydantic"} & set(loaded)


def test_version_is_that_of_the_package():
    project = tomllib.loads((Path(traiNNer.__file__).parents[1] / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "traiNNer.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", traiNNer.__version__)
    assert (Path(traiNNer.__file__).parent / "py.typed").is_file()
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["traiNNer"]


def test_network_is_built_by_name_with_its_options():
    network = traiNNer.build_network("ParagonSR2_nano", scale=3)
    assert network(torch.rand(1, 3, 8, 9)).shape == (1, 3, 24, 27)
    small = traiNNer.build_network("paragonsr2", scale=2, num_feat=8, num_groups=1, num_blocks=1)
    assert small.conv_in.weight.shape[0] == 8


def test_wrong_name_or_option_is_reported():
    with pytest.raises(ConfigError, match="paragonsr2_nano"):
        traiNNer.build_network("paragonsr2_nan", scale=2)
    with pytest.raises(ConfigError, match="num_feats"):
        traiNNer.build_network("paragonsr2", scale=2, num_feats=8)


def test_rebuilt_network_is_in_eval_mode(tmp_path):
    network: nn.Module = traiNNer.build_network("paragonsr2_nano", scale=2)
    network(torch.rand(2, 3, 8, 8))  # tracks the kernels of evaluation
    torch.save(network.state_dict(), tmp_path / "x.pth")
    rebuilt = traiNNer.load_network(tmp_path / "x.pth", scale=2)
    assert not rebuilt.training
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(rebuilt(x), network.eval()(x))


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.pth"):
        traiNNer.load_network(tmp_path / "none.pth")


def test_public_names_are_exactly_the_exports():
    assert traiNNer.create_zero_config_training is create_zero_config_training
    assert traiNNer.upscale is api.upscale  # no room of the package has such a name
    assert all(callable(getattr(traiNNer, name)) for name in traiNNer.__all__)
    with pytest.raises(AttributeError, match="module 'traiNNer' has no attribute 'nothing'"):
        _ = traiNNer.nothing
