"""The community's spellings to our tree: every place and name that is accepted besides the canonical one.

Sections move before `--set` is applied, so that both spellings of a place can be overridden; the rest comes after.
"""

from collections.abc import Callable
from pathlib import Path as FilePath

from traiNNer.config.adversarial import complete_adversarial
from traiNNer.config.automation_options import OWN_SECTIONS, AutomationOptions
from traiNNer.config.automation_rules import rules_of
from traiNNer.config.choice import AutomationChoice
from traiNNer.config.foreign import adapt_foreign
from traiNNer.config.layout import (
    AUTOMATIONS_AT,
    EACH_AT,
    automations,
    own_section,
    snake_case,
    static_keys,
)
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import DEFAULT, Node, Report, did_you_mean, key_of
from traiNNer.registry import ARCHS, AUTOMATIONS, StrictOptions, fold

SCALES = ("scale", "upscale", "upscaling_factor", "upscale_factor", "sf")
"""What the scale is called in the section of a network, in this framework and in others."""
NO_EFFECT = (
    "num_worker_per_gpu",
    "pin_memory",
    "strict",
    "lq_size",
    "gt_size",
    "crop_growth",
    "candidates",
    "candidates_until",
    "batch_size_per_gpu",
    "accum_iter",
    "use_hflip",
    "use_rot",
    "dataset_enlarge_ratio",
)


def move_sections(root: Node, model: type[StrictOptions], report: Report) -> None:
    """Move `losses` and automations into `train`, `train.val` to the top level, each section to where it belongs."""
    if issubclass(model, TrainOptions):
        _move(root, "losses", root, "train", report)
        _move(root, "training_automations", root, "train", report)
        _lift_val(root, report)
        _lift_own_sections(root, report)


def adapt(root: Node, model: type[StrictOptions], report: Report) -> None:
    """Accept what says nothing new (a repeated scale, crop sizes for validation) and complete what is left out."""
    complete_adversarial(root)
    adapt_foreign(root, model, report)
    _drop_repeated_scale(root, report)
    _drop_validation_crops(root, report)
    _name_metrics(root, report)
    _expand_home(root)
    _lift_own_sections(root, report)  # again: `--set` may have replaced the whole section
    _gather_automations(root, report)


def _twice(report: Report, node: Node, other: Node) -> None:
    report.at(node, f"also written as {other.key} ({other.place()}); keep one", show=False)


def _move(source: Node, key: str, root: Node, section: str, report: Report) -> None:
    node = source.child(key)
    if node is None:
        return
    del source.value[key]
    home = root.value.setdefault(section, Node({}, node.line, section))
    if home.value is None:
        home.value = {}
    if not isinstance(home.value, dict):
        return
    other = home.value.get(key)
    if other is None:
        home.value[key] = node
        report.spelled(node, f"read as {section}.{key}")
    else:
        _twice(report, node, other)


def _lift_val(root: Node, report: Report) -> None:
    train = root.child("train")
    node = train.child("val") if train is not None else None
    if train is None or node is None:
        return
    del train.value["val"]
    other = root.child("val")
    if other is None:
        root.value["val"] = node
        report.spelled(node, "read as val")
    else:
        _twice(report, node, other)


def _lift_own_sections(root: Node, report: Report) -> None:
    """Move an automation that has a separate section there, from among the others."""
    section = root.at(AUTOMATIONS_AT)
    if section is None:
        return
    train = root.value["train"].value
    for key, own in [(key, own) for key in section.entries() if (own := own_section(key))]:
        node = section.value.pop(key)
        other = train.setdefault(own, node)
        if other is node:
            report.spelled(node, f"read as train.{own}")
        else:
            _twice(report, node, other)


def _drop_repeated_scale(root: Node, report: Report) -> None:
    network, scale = root.child("network_g"), root.child("scale")
    if network is None:
        return
    kind = network.child("type")
    own = ARCHS[kind.value].options.model_fields if kind is not None and str(kind.value) in ARCHS else {}
    for key in [key for key in SCALES if key in network.entries() and key not in own]:
        repeated = network.value.pop(key)
        if scale is not None and scale.value != repeated.value:
            where = f"({scale.place()}); state it once, at the top level"
            report.at(repeated, f"differs from scale = {scale.value} {where}")
        else:
            report.spelled(repeated, "scale at the top level says it")


def _drop_validation_crops(root: Node, report: Report) -> None:
    dropped: list[str] = []
    datasets = root.child("datasets")
    for key, dataset in (datasets.entries() if datasets is not None else {}).items():
        found = [] if key == "train" else [name for name in NO_EFFECT if name in dataset.entries()]
        for name in found:
            del dataset.value[name]
        if found:
            dropped.append(f"datasets.{key}: {', '.join(found)}")
    if dropped:
        report.warnings.append(
            f"no effect in validation, where all images are taken whole and in turn ({'; '.join(dropped)})"
        )


def _name_metrics(root: Node, report: Report) -> None:
    metrics = root.at(("val", "metrics"))
    for name, metric in (metrics.entries() if metrics is not None else {}).items():
        if metric.value is None:
            metric.value = {}
        if not isinstance(metric.value, dict):
            continue
        kind = metric.value.setdefault("type", Node(name, metric.line, metric.key, metric.source))
        if isinstance(kind.value, str) and kind.value.lower().startswith("calculate_"):
            kind.value = kind.value[len("calculate_") :]
            report.spelled(kind, f"read as {kind.value}")


def _expand_home(root: Node) -> None:
    datasets = root.child("datasets")
    for dataset in (datasets.entries() if datasets is not None else {}).values():
        _expand(dataset, lambda key: key.startswith("dataroot") or key == "meta_info")
    losses, metrics = root.at(("train", "losses")), root.at(("val", "metrics"))
    looking = list(losses.value) if losses is not None and isinstance(losses.value, list) else []
    looking += metrics.entries().values() if metrics is not None else []
    for component in looking:
        _expand(component, lambda key: key in ("weights", "dists_weights"))
    paths = root.child("path")
    if paths is not None:
        _expand(paths, lambda _: True)


def _expand(section: Node, wanted: Callable[[str], bool]) -> None:
    for key, node in section.entries().items():
        for leaf in node.value if isinstance(node.value, list) else [node]:
            if wanted(key) and isinstance(leaf.value, str) and leaf.value.startswith(("~/", "~\\")):
                leaf.value = str(FilePath(leaf.value).expanduser())


def _gather_automations(root: Node, report: Report) -> None:
    """Put the automations' sections in one place under their registered names, apart from the switches beside them."""
    own = _take_own_sections(root, report)
    section = root.at(AUTOMATIONS_AT)
    if own and (section is None or section.value is None):
        section = Node({}, None, key_of(AUTOMATIONS_AT))
        root.value["train"].value[AUTOMATIONS_AT[-1]] = section
    if section is None or not isinstance(section.value, dict):
        return
    found: dict[str, Node] = {}
    for key in [key for key in section.value if key not in static_keys(AutomationOptions)]:
        node = section.value.pop(key)
        if key in AUTOMATIONS:
            _take(AUTOMATIONS[key].name, node, found, report)
        else:
            _unknown_automation(key, node, report)
    # They are asked in this order: those of the file, then those with a section of their own.
    section.value[EACH_AT[-1]] = Node(found | own, section.line, section.key)


def _take_own_sections(root: Node, report: Report) -> dict[str, Node]:
    """Take out the sections that hold one automation each. Its switch stands in no other, so it is off by default."""
    found: dict[str, Node] = {}
    train = root.child("train")
    for own, name in OWN_SECTIONS.items():
        node = train.entries().pop(own, None) if train is not None else None
        if node is not None:
            _take(name, node, found, report)
            node.entries().setdefault("enabled", Node(False, node.line, f"{node.key}.enabled", DEFAULT))
    return found


def _take(name: str, node: Node, found: dict[str, Node], report: Report) -> None:
    if name in found:
        _twice(report, node, found[name])
        return
    found[name] = node
    if node.value is None:
        node.value = {}
    if isinstance(node.value, dict):
        _drop_stray(name, node, report)
        written = node.value.setdefault("type", Node(name, node.line, node.key, node.source))
        if written.value is None or fold(str(written.value)) != fold(name):
            report.at(written, f"must be {name}, as its section is called, or left out")
            written.value = name  # so that the rest of the section is checked all the same


def _drop_stray(name: str, node: Node, report: Report) -> None:
    """Take out a key that files of the community give in the wrong section; others are refused as unknown."""
    known = (*automations()[name].options.model_fields, *AutomationChoice.model_fields)
    for key in [key for key in node.value if key not in known]:
        owner = next((other for other, found in automations().items() if key in rules_of(found).stray_options), None)
        if owner is not None:
            place = node.value.pop(key)
            report.warnings.append(f"{place.key} ({place.place()}): {key} belongs to {owner}; ignored")


def _unknown_automation(name: str, node: Node, report: Report) -> None:
    for component in automations().values():
        for foreign, message in rules_of(component).foreign_names.items():
            if fold(foreign) == fold(name):
                report.at(node, message)
                return
    names = [snake_case(known) for known in AUTOMATIONS.names()] if name == name.lower() else AUTOMATIONS.names()
    report.at(node, f"unknown option{did_you_mean(name, [*names, *static_keys(AutomationOptions)])}")
