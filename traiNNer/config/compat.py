"""The community's spellings to our tree: every place and name that is accepted besides the canonical one.

Sections move before `--set` is applied, so that both spellings of a place can be overridden; the rest comes after.
"""

from collections.abc import Callable
from pathlib import Path as FilePath

from traiNNer.config.automation_options import AutomationOptions
from traiNNer.config.layout import AUTOMATIONS_AT, class_name, helper_named, helpers, static_keys
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import Node, Report, did_you_mean
from traiNNer.registry import AUTOMATIONS, StrictOptions, fold

NO_EFFECT = (
    "lq_size",
    "gt_size",
    "batch_size_per_gpu",
    "accum_iter",
    "use_hflip",
    "use_rot",
    "dataset_enlarge_ratio",
)
NOT_OURS = {
    "dynamicbatchandpatchsizeoptimizer": "is not part of traiNNer; use DynamicBatchSizeOptimizer (the crop size stays)",
}


def move_sections(root: Node, model: type[StrictOptions], report: Report) -> None:
    """Move `losses` and helpers into `train`, `train.val` to the top level, and helpers to their canonical names."""
    if issubclass(model, TrainOptions):
        _move(root, "losses", root, "train", report)
        _move(root, "training_automations", root, "train", report)
        _lift_val(root, report)
    _name_helpers(root, report)


def adapt(root: Node, report: Report) -> None:
    """Accept what says nothing new (a repeated scale, crop sizes for validation) and complete what is left out."""
    _drop_repeated_scale(root, report)
    _drop_validation_crops(root, report)
    _name_metrics(root)
    _expand_home(root)
    _sort_helper_keys(root, report)


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
    else:
        _twice(report, node, other)


def _name_helpers(root: Node, report: Report) -> None:
    section = root.at(AUTOMATIONS_AT)
    if section is None or not isinstance(section.value, dict):
        return
    named: dict[str, Node] = {}
    for key, node in section.value.items():
        name = helper_named(key) or key
        if name in named:
            _twice(report, node, named[name])
        else:
            named[name] = node
    section.value = named


def _drop_repeated_scale(root: Node, report: Report) -> None:
    network, scale = root.child("network_g"), root.child("scale")
    repeated = network.child("scale") if network is not None else None
    if network is None or repeated is None:
        return
    del network.value["scale"]
    if scale is not None and scale.value != repeated.value:
        report.at(repeated, f"differs from scale = {scale.value} ({scale.place()}); state it once, at the top level")


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
        report.warnings.append(f"no effect in validation, where images are taken whole ({'; '.join(dropped)})")


def _name_metrics(root: Node) -> None:
    metrics = root.at(("val", "metrics"))
    for name, metric in (metrics.entries() if metrics is not None else {}).items():
        if metric.value is None:
            metric.value = {}
        if not isinstance(metric.value, dict):
            continue
        kind = metric.value.setdefault("type", Node(name, metric.line, metric.key, metric.source))
        if isinstance(kind.value, str) and kind.value.lower().startswith("calculate_"):
            kind.value = kind.value[len("calculate_") :]


def _expand_home(root: Node) -> None:
    datasets = root.child("datasets")
    for dataset in (datasets.entries() if datasets is not None else {}).values():
        _expand(dataset, lambda key: key.startswith("dataroot"))
    losses = root.at(("train", "losses"))
    for loss in losses.value if losses is not None and isinstance(losses.value, list) else []:
        _expand(loss, lambda key: key == "weights")
    paths = root.child("path")
    if paths is not None:
        _expand(paths, lambda _: True)


def _expand(section: Node, wanted: Callable[[str], bool]) -> None:
    for key, node in section.entries().items():
        for leaf in node.value if isinstance(node.value, list) else [node]:
            if wanted(key) and isinstance(leaf.value, str) and leaf.value.startswith(("~/", "~\\")):
                leaf.value = str(FilePath(leaf.value).expanduser())


def _sort_helper_keys(root: Node, report: Report) -> None:
    """Take out keys that belong to a neighbouring helper, and helpers that plugins registered."""
    section = root.at(AUTOMATIONS_AT)
    if section is None or not isinstance(section.value, dict):
        return
    own: dict[str, Node] = {}
    for name, node in list(section.value.items()):
        if name in helpers():
            _drop_misplaced(name, node, report)
        elif name not in static_keys_of_helpers():
            del section.value[name]
            if name in AUTOMATIONS:
                _take_own(name, node, own, report)
            else:
                _unknown_helper(name, node, report)
    if own:
        section.value["own"] = Node(own, section.line, section.key)


def static_keys_of_helpers() -> tuple[str, ...]:
    """Return the keys of the helpers' section itself: its switches, not the helpers."""
    return tuple(key for key in static_keys(AutomationOptions) if key not in helpers())


def _drop_misplaced(name: str, node: Node, report: Report) -> None:
    for key in [key for key in node.entries() if key not in helpers()[name].model_fields]:
        owner = next((other for other, model in helpers().items() if key in model.model_fields), None)
        if owner is not None:
            place = node.value.pop(key)
            report.warnings.append(f"{place.key} ({place.place()}): {key} belongs to {class_name(owner)}; ignored")


def _take_own(name: str, node: Node, own: dict[str, Node], report: Report) -> None:
    component = AUTOMATIONS[name]
    if component.name in own:
        _twice(report, node, own[component.name])
        return
    if node.value is None:
        node.value = {}
    if isinstance(node.value, dict):
        node.value["type"] = Node(component.name, node.line, node.key, node.source)
    own[component.name] = node


def _unknown_helper(name: str, node: Node, report: Report) -> None:
    if fold(name) in NOT_OURS:
        report.at(node, NOT_OURS[fold(name)])
        return
    spelled = list(helpers()) if name == name.lower() else [class_name(helper) for helper in helpers()]
    known = [*spelled, *AUTOMATIONS.names(), *static_keys_of_helpers()]
    report.at(node, f"unknown option{did_you_mean(name, known)}")
