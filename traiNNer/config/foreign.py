"""Files of traiNNer-redux, neosr and BasicSR: what of them is translated, passed over, or refused by name.

Nothing disappears: every key that is not used as it stands is noted in `Report.changes`.
"""

from collections.abc import Mapping

from traiNNer.config.foreign_defaults import tell_defaults
from traiNNer.config.foreign_degradations import translate_degradations
from traiNNer.config.foreign_names import COMPONENTS
from traiNNer.config.foreign_words import WORDS
from traiNNer.config.layout import aliases, static_keys
from traiNNer.config.options import (
    DatasetChoice,
    LoggerSection,
    LossChoice,
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
    "train.losses": LossChoice,
    "path": PathSection,
    "val": ValSection,
    "logger": LoggerSection,
}
LOSSES_AT = ("train", "losses")
CHOSEN: Mapping[str, Registry] = {"datasets.<name>": DATASETS, "train.losses": LOSSES}


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
        tell_defaults(root, model, report)


def answer_to(kind: str, name: str) -> str | None:
    """Return what a file is answered that names a component of another framework, or None for any other name."""
    return COMPONENTS.get(kind, {}).get(fold(name))


def _sections(root: Node, place: str) -> list[Node]:
    if place == "datasets.<name>":
        datasets = root.child("datasets")
        return list(datasets.entries().values()) if datasets is not None else []
    if place == "train.losses":
        losses = root.at(LOSSES_AT)
        return losses.value if losses is not None and isinstance(losses.value, list) else []
    node = root.child(place) if place else root
    return [node] if node is not None else []


def _take_words(section: Node, place: str, model: type[StrictOptions], report: Report) -> None:
    words = WORDS[place]
    known = {*static_keys(model), *aliases(model)}
    if place in CHOSEN:
        known |= _options_of(CHOSEN[place], section.child("type"))
    for key in [key for key in section.entries() if key in words and key not in known]:
        node = section.value.pop(key)
        beside = {name: child.plain() for name, child in section.entries().items()} | {key: node.plain()}
        if words[key].says_nothing(node.plain(), beside):
            report.passed(node, words[key].note)
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
            report.passed(dataset.value.pop("dataset_enlarge_ratio"), "small sets need no enlarging")


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
            report.passed(item, "its loss_weight is 0", str(kind.value) if kind is not None else "")
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
            report.passed(metrics.value.pop(key), "no metrics are computed")
