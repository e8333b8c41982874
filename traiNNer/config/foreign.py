"""Files of traiNNer-redux, neosr and BasicSR: what of them is translated, passed over, or refused by name.

Nothing disappears: every key that is not used as it stands is noted in `Report.changes`.
"""

from collections.abc import Mapping
from typing import Any

from traiNNer.config.foreign_degradations import translate_degradations
from traiNNer.config.foreign_names import COMPONENTS
from traiNNer.config.foreign_words import DEFAULTS, OPTION_DEFAULTS, WORDS, Default
from traiNNer.config.layout import aliases, static_keys
from traiNNer.config.options import (
    DatasetChoice,
    LoggerSection,
    PathSection,
    TrainOptions,
    TrainSection,
    ValSection,
)
from traiNNer.config.tree import Node, Report
from traiNNer.registry import DATASETS, LOSSES, METRICS, Registry, StrictOptions, fold

MODELS: Mapping[str, type[StrictOptions]] = {
    "datasets.<name>": DatasetChoice,
    "train": TrainSection,
    "path": PathSection,
    "val": ValSection,
    "logger": LoggerSection,
}
LOSSES_AT = ("train", "losses")


def adapt_foreign(root: Node, model: type[StrictOptions], report: Report) -> None:
    """Translate or pass over what other frameworks write, and say once which defaults differ there."""
    before = len(report.changes)
    translate_degradations(root, report)
    has_their_metrics = _has_their_metrics(root)
    for place in WORDS:
        for section in _sections(root, place):
            _take_words(section, place, MODELS.get(place, model), report)
    _translate_datasets(root, report)
    _drop_unused_metrics(root, report)
    if issubclass(model, TrainOptions):
        _translate_warmup(root, report)
        _drop_losses_of_weight_zero(root, report)
    if has_their_metrics or len(report.changes) > before:
        _tell_defaults(root, model, report)


def answer_to(kind: str, name: str) -> str | None:
    """Return what a file is answered that names a component of another framework, or None for any other name."""
    return COMPONENTS.get(kind, {}).get(fold(name))


def _sections(root: Node, place: str) -> list[Node]:
    if place == "datasets.<name>":
        datasets = root.child("datasets")
        return list(datasets.entries().values()) if datasets is not None else []
    node = root.child(place) if place else root
    return [node] if node is not None else []


def _take_words(section: Node, place: str, model: type[StrictOptions], report: Report) -> None:
    words = WORDS[place]
    known = {*static_keys(model), *aliases(model)}
    if place == "datasets.<name>":
        known |= _options_of(DATASETS, section.child("type"))
    for key in [key for key in section.entries() if key in words and key not in known]:
        node = section.value.pop(key)
        beside = {name: child.plain() for name, child in section.entries().items()} | {key: node.plain()}
        if words[key].says_nothing(node.plain(), beside):
            report.changed(node, f"passed over; {words[key].note}")
        else:
            report.at(node, words[key].answer)


def _options_of(registry: Registry, name: Node | None) -> set[str]:
    known = name is not None and isinstance(name.value, str) and name.value in registry
    return set(registry[name.value].options.model_fields) if known and name is not None else set()


def _translate_datasets(root: Node, report: Report) -> None:
    for dataset in _sections(root, "datasets.<name>"):
        kind, enlarged = dataset.child("type"), dataset.child("dataset_enlarge_ratio")
        if kind is not None and fold(str(kind.value)) == "singleimagedataset" and kind.value not in DATASETS:
            report.changed(kind, "read as PairedImageDataset without dataroot_gt")
            kind.value = "PairedImageDataset"
        if enlarged is not None and enlarged.value == "auto":
            report.changed(dataset.value.pop("dataset_enlarge_ratio"), "passed over; small sets need no enlarging")


def _translate_warmup(root: Node, report: Report) -> None:
    node = root.at(("train", "warmup_iter"))
    if node is not None and node.value == -1:
        report.changed(node, "read as 0, no warm-up")
        node.value, node.text = 0, None


def _drop_losses_of_weight_zero(root: Node, report: Report) -> None:
    """Take out losses that are switched off by their weight. Where all are, the rules refuse the file."""
    losses = root.at(LOSSES_AT)
    items = losses.value if losses is not None and isinstance(losses.value, list) else []
    kept = [item for item in items if not _is_zero(item.child("loss_weight"))]
    if losses is None or not kept:
        return
    for item in items:
        if item not in kept:
            kind = item.child("type")
            named = f"{kind.value} " if kind is not None else ""
            report.changed(item, f"{named}passed over; its loss_weight is 0")
    losses.value = kept


def _is_zero(weight: Node | None) -> bool:
    return weight is not None and not isinstance(weight.value, bool) and weight.value in (0, 0.0)


def _has_their_metrics(root: Node) -> bool:
    metrics = root.at(("val", "metrics"))
    kinds = [metric.child("type") for metric in (metrics.entries() if metrics is not None else {}).values()]
    return any(kind is not None and str(kind.value).lower().startswith("calculate_") for kind in kinds)


def _drop_unused_metrics(root: Node, report: Report) -> None:
    """Take out metrics that do not exist here from a file that computes none."""
    metrics = root.at(("val", "metrics"))
    switches = [root.at(("val", key)) for key in ("val_enabled", "metrics_enabled")]
    if metrics is None or not any(switch is not None and switch.value is False for switch in switches):
        return
    for key, metric in list(metrics.entries().items()):
        kind = metric.child("type")
        name = str(kind.value if kind is not None else key).lower().removeprefix("calculate_")
        if name not in METRICS and answer_to("metric", name):
            report.changed(metrics.value.pop(key), "passed over; no metrics are computed")


def _tell_defaults(root: Node, model: type[StrictOptions], report: Report) -> None:
    """Warn of options that the file leaves out and that stand for another value in traiNNer-redux."""
    # test.py always loads strictly, and trains nothing.
    defaults = DEFAULTS if issubclass(model, TrainOptions) else [found for found in DEFAULTS if found.path[0] == "val"]
    found = [_told(default, root) for default in defaults]
    metrics, losses = root.at(("val", "metrics")), root.at(LOSSES_AT)
    for key, metric in (metrics.entries() if metrics is not None else {}).items():
        kind = metric.child("type")
        name = str(kind.value if kind is not None else key).lower().removeprefix("calculate_")
        found.append(_told_option(METRICS, name, metric))
    for loss in losses.value if losses is not None and isinstance(losses.value, list) else []:
        kind = loss.child("type")
        found.append(_told_option(LOSSES, str(kind.value), loss) if kind is not None else None)
    told = [text for text in found if text]
    if told:
        report.warnings.append(
            "the file is written for another framework, where options that it leaves out have other values: "
            f"{', '.join(told)}; write them out where you want those"
        )


def _told(default: Default, root: Node) -> str | None:
    needed = root.at(default.needs) if default.needs else None
    if root.at(default.path) is not None or (default.needs and (needed is None or not needed.value)):
        return None
    ours = MODELS[default.path[0]].model_fields[default.path[-1]].default
    return f"{'.'.join(default.path)} {_spoken(default.theirs)} (here {_spoken(ours)})"


def _told_option(registry: Registry, name: str, section: Node) -> str | None:
    option, theirs = OPTION_DEFAULTS.get(fold(name), ("", None))
    if not option or name not in registry or section.child(option) is not None:
        return None
    ours = registry[name].options.model_fields[option].default
    return f"{section.key}.{option} {_spoken(theirs)} (here {_spoken(ours)})"


def _spoken(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
