"""Stand-ins for the real components, so that the rules of option files are tested apart from them.

Only the training automations are the real ones: their names and options are part of the rules.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from traiNNer import registry
from traiNNer.config.load import Loaded, load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError

Roots = str | tuple[str, ...]
REGISTRIES = ("ARCHS", "LOSSES", "METRICS", "DATASETS", "OPTIMIZERS", "SCHEDULES", "AUTOMATIONS")
AUTOMATIONS = [known for known in registry.AUTOMATIONS if known.builder.__module__.startswith("traiNNer.")]
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


class ParagonSR2:
    """The user's network."""

    def __init__(
        self,
        num_feat: int = 24,
        num_groups: int = 2,
        num_blocks: int = 2,
        use_attention: bool = False,
        scale: int = 2,
    ): ...


class TinyNet:
    """A network that is particular about sizes.

    Args:
        dim: Channels of
            every layer.
        mode (str): How it works.

    Raises:
        ValueError: never.
    """

    def __init__(self, scale: int, dim: Annotated[int, Field(gt=0)] = 8, mode: Literal["fast", "slow"] = "fast"): ...


class PairedImageDataset:
    """Pairs of images."""

    def __init__(
        self,
        scale: int,
        dataroot_lq: Roots,
        dataroot_gt: Roots | None = None,
        lq_size: Annotated[int, Field(gt=0)] | None = None,
        gt_size: Annotated[int, Field(gt=0)] | None = None,
        use_hflip: bool = True,
        use_rot: bool = True,
        split: Literal["all", "train", "val"] = "all",
        meta_info: str | None = None,
    ): ...


class L1Loss:
    """Mean absolute difference."""


class CharbonnierLoss:
    """L1 with a round bottom."""

    def __init__(self, eps: Annotated[float, Field(gt=0)] = 1e-3): ...


class PerceptualLoss:
    """Distance between features."""

    def __init__(
        self,
        layers: Annotated[tuple[Literal["relu1_2", "relu2_2", "relu3_4"], ...], Field(min_length=1)] = ("relu1_2",),
        perceptual_weight: float = 1.0,
        style_weight: float = 0.0,
        pretrained: bool = True,
        weights: str | None = None,
    ): ...


class PSNR:
    """Peak signal-to-noise ratio."""

    def __init__(self, scale: int, crop_border: Annotated[int, Field(ge=0)] | None = None): ...


class SSIM(PSNR):
    """Structural similarity."""


class AdamW:
    """Adam with decoupled weight decay."""

    def __init__(
        self,
        lr: Annotated[float, Field(gt=0)] = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.01,
    ): ...


class MultiStepLR:
    """Falls at milestones."""

    def __init__(self, milestones: tuple[int, ...], total_iter: int, gamma: float = 0.5): ...


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """Replace everything that is registered, for one test."""
    for name in REGISTRIES:
        monkeypatch.setattr(getattr(registry, name), "_components", {})
        monkeypatch.setattr(getattr(registry, name), "_offered", {})
        monkeypatch.setattr(getattr(registry, name), "home", "")
    registry.ARCHS.register(ParagonSR2, scales=(1, 2, 3, 4, 8))
    registry.ARCHS.register(TinyNet, scales=(2, 4), size_multiple=8)
    registry.DATASETS.register(PairedImageDataset)
    for loss in (L1Loss, CharbonnierLoss, PerceptualLoss):
        registry.LOSSES.register(loss)
    for metric in (PSNR, SSIM):
        registry.METRICS.register(metric)
    registry.OPTIMIZERS.register(AdamW)
    registry.SCHEDULES.register(MultiStepLR)
    for known in AUTOMATIONS:
        registry.AUTOMATIONS.register(known.builder, name=known.name, options=known.options, **known.traits)


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
