"""Options that a file of traiNNer-redux leaves out and that stand for another value there than here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from traiNNer.config.options import PathSection, TrainOptions, TrainSection, ValSection
from traiNNer.config.tree import Node, Report
from traiNNer.registry import LOSSES, METRICS, Registry, StrictOptions, fold


@dataclass(frozen=True)
class Default:
    """An option that stands for another value in traiNNer-redux when a file leaves it out."""

    section: str
    option: str
    theirs: Any
    """What the file would mean there."""
    needs: str = ""
    """The option of that section that must be on for the value to matter."""


DEFAULTS = (
    Default("train", "ema_decay", 0.0),
    Default("train", "grad_clip_max_norm", 100.0, "grad_clip"),
    Default("path", "strict_load_g", True, "pretrain_network_g"),
    Default("val", "tile_overlap", 0, "tile_size"),
)
VGG_LAYERS = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
OPTION_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "psnr": {"test_y_channel": False},
    "ssim": {"test_y_channel": False},
    # Theirs is sqrt(d² + eps) with 1e-12; ours squares eps.
    "charbonnierloss": {"eps": 1e-6},
    "perceptualloss": {"layer_weights": VGG_LAYERS, "criterion": "charbonnier"},
}
"""Options of components by folded name, with the value that traiNNer-redux takes for them."""
INSTEAD_OF = {"layer_weights": "layers"}
"""Options that say nothing where another one is given."""
SECTIONS: Mapping[str, type[StrictOptions]] = {"train": TrainSection, "path": PathSection, "val": ValSection}


@dataclass(frozen=True)
class Told:
    """An option that the file leaves out: what that meant, and what it is here, in words."""

    key: str
    theirs: Any
    there: str
    here: str

    def __str__(self) -> str:
        return f"{self.key} {self.there} (here {self.here})"


def tell_defaults(root: Node, model: type[StrictOptions], report: Report) -> None:
    """Warn of options that the file leaves out and that stand for another value there; keep them in `report.theirs`."""
    # test.py always loads strictly, and trains nothing.
    trains = issubclass(model, TrainOptions)
    told = [found for default in DEFAULTS if trains or default.section == "val" if (found := _option(default, root))]
    told += _metrics(root)
    if trains:
        told += [*_losses(root), *_schedule(root)]
    if told:
        report.theirs |= {one.key: one.theirs for one in told}
        report.warnings.append(
            "the file is written for another framework, where options that it leaves out have other values: "
            f"{', '.join(map(str, told))}; write them out where you want those"
        )


def _option(default: Default, root: Node) -> Told | None:
    needed = root.at((default.section, default.needs)) if default.needs else None
    if root.at((default.section, default.option)) is not None or (default.needs and (not needed or not needed.value)):
        return None
    ours = SECTIONS[default.section].model_fields[default.option].default
    return Told(f"{default.section}.{default.option}", default.theirs, _spoken(default.theirs), _spoken(ours))


def _metrics(root: Node) -> Iterator[Told]:
    metrics = root.at(("val", "metrics"))
    for key, metric in (metrics.entries() if metrics is not None else {}).items():
        kind = metric.child("type")
        yield from _of(METRICS, str(kind.value if kind is not None else key).lower().removeprefix("calculate_"), metric)


def _losses(root: Node) -> Iterator[Told]:
    losses = root.at(("train", "losses"))
    for loss in losses.value if losses is not None and isinstance(losses.value, list) else []:
        kind = loss.child("type")
        if kind is not None:
            yield from _of(LOSSES, str(kind.value), loss)


def _of(registry: Registry, name: str, section: Node) -> Iterator[Told]:
    for option, theirs in OPTION_DEFAULTS.get(fold(name), {}).items():
        given = (option, INSTEAD_OF.get(option, option))
        if name in registry and not any(section.child(key) is not None for key in given):
            instead = registry[name].options.model_fields[given[1]].default
            yield Told(f"{section.key}.{option}", theirs, _spoken(theirs), _spoken(instead))


def _schedule(root: Node) -> Iterator[Told]:
    """Yield the schedule of the discriminator, which is that of the network there."""
    schedule = root.at(("train", "scheduler"))
    has_own = root.at(("train", "scheduler_d")) is not None or root.at(("train", "optim_d")) is None
    if schedule is not None and schedule.value and not has_own:
        yield Told("train.scheduler_d", schedule.plain(), "as train.scheduler", "constant")


def _spoken(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_spoken(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple):
        return f"layers {', '.join(value)}"
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
