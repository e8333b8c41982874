"""A small option file and its loader, with the registered components and one network with size rules."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from traiNNer import registry
from traiNNer.config.load import Loaded, load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError
from traiNNer.utils import plugin_files

REGISTRIES = ("ARCHS", "LOSSES", "METRICS", "DATASETS", "DEGRADATIONS", "OPTIMIZERS", "SCHEDULES", "AUTOMATIONS")
BASE = """\
name: run
scale: 2
datasets:
  train:
    type: PairedImageDataset
    dataroot_gt: data/hr
    dataroot_lq: data/lr
    lq_size: 48
  val:
    type: PairedImageDataset
    dataroot_gt: val/hr
    dataroot_lq: val/lr
network_g:
  type: TinyNet
train:
  total_iter: 100
  optim_g: {type: AdamW, lr: 1e-3}
  losses:
    - type: L1Loss
    - type: CharbonnierLoss
      eps: 1e-3
val:
  val_freq: 50
  metrics:
    psnr: {}
"""


class TinyNet:
    """A network with size constraints.

    Args:
        dim: Channels of
            every layer.
        mode (str): How it works.

    Raises:
        ValueError: never.
    """

    def __init__(self, scale: int, dim: Annotated[int, Field(gt=0)] = 8, mode: Literal["fast", "slow"] = "fast"): ...


@pytest.fixture(autouse=True)
def components(monkeypatch):
    """Register the small network; registrations of a test or its plugin are removed afterwards."""
    for name in REGISTRIES:
        kind = getattr(registry, name)
        assert list(kind)  # a module that a test imports first would register only for that test
        monkeypatch.setattr(kind, "_components", dict(kind._components))
    monkeypatch.setattr(plugin_files, "_imported", {})
    registry.ARCHS.register(TinyNet, scales=(2, 4), size_multiple=8, least_size=16)


@pytest.fixture
def options_of() -> Callable[[Loaded, str], Any]:
    """Return a function that gives an automation's options in a loaded file."""
    return lambda loaded, name: loaded.options.train.training_automations.automations[name].options


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """Return a function that loads a text as an option file."""

    def run(text: str = BASE, *sets: str, model: type = TrainOptions) -> Loaded:
        path = tmp_path / "options.yml"
        path.write_text(text, encoding="utf-8")
        return load_options(path, model, sets)

    return run


@pytest.fixture
def problems(load) -> Callable[..., list[tuple[int | None, str, str]]]:
    """Return a function that loads a text and returns its problems as (line, key, message)."""

    def run(text: str = BASE, *sets: str, model: type = TrainOptions) -> list[tuple[int | None, str, str]]:
        with pytest.raises(ConfigError) as caught:
            load(text, *sets, model=model)
        return [(p.line, p.key, p.message) for p in caught.value.problems] or [(None, "", str(caught.value))]

    return run


@pytest.fixture
def base() -> str:
    """Return the text of a complete small option file."""
    return BASE
