"""Rules between options: what no value alone can show."""

from collections.abc import Callable
from pathlib import Path

from traiNNer.config.adversarial import check_adversarial
from traiNNer.config.clip_checks import check_clips
from traiNNer.config.crop_checks import check_crops
from traiNNer.config.degradation_checks import check_degradations
from traiNNer.config.facts import Facts
from traiNNer.config.loss_checks import check_losses
from traiNNer.config.mixing_checks import check_mixing
from traiNNer.config.names import refusal
from traiNNer.config.optimizer_checks import check_optimizers
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import Node, nearest
from traiNNer.config.value_checks import check_values
from traiNNer.registry import Component
from traiNNer.traits import ArchTraits


def check_rules(facts: Facts) -> None:
    """Report every rule that a file breaks."""
    training = issubclass(facts.model, TrainOptions)
    _check_names(facts)
    _check_scale(facts)
    check_degradations(facts)
    check_clips(facts)
    if training:
        _check_train_sets(facts)
        _check_needed(facts)
        _check_end(facts)
        check_crops(facts)
        check_losses(facts)
        check_mixing(facts)
        _check_splits(facts)
        _check_networks(facts)
        check_adversarial(facts)
        check_values(facts)
        check_optimizers(facts)
    else:
        _check_test(facts)


def _check_names(facts: Facts) -> None:
    """Everything that becomes a folder or file name."""
    sets = facts.entries("datasets")
    for node in [facts.root.at(("name",)), *(dataset.child("name") for dataset in sets.values())]:
        if node is not None and isinstance(node.value, str) and (message := refusal(node.value)):
            facts.report.at(node, message, show=False)
    for key, node in {**sets, **facts.entries("val", "metrics")}.items():
        if message := refusal(key):
            facts.report.at(node, message, show=False)
    shown: dict[str, Node] = {}
    for key, node in sets.items():
        title = node.child("name") or Node(key, node.line, node.key)
        if isinstance(title.value, str) and shown.setdefault(title.value, title) is not title:
            facts.report.at(title, f"is also the name of {shown[title.value].key}; every set needs its own")


def _check_scale(facts: Facts) -> None:
    arch: Component[ArchTraits] | None = facts.chosen.get(("network_g",))
    scale = facts.value(("scale",), int)
    if arch is not None and arch.traits.scales and scale is not None and scale not in arch.traits.scales:
        known = ", ".join(str(value) for value in arch.traits.scales)
        facts.problem(("scale",), f"{arch.name} is made for the scales {known}")


def _check_train_sets(facts: Facts) -> None:
    if facts.section("datasets") is None:
        return
    sets = facts.entries("datasets")
    meant = _check_set_names(facts, lambda key: key == "train" or key.startswith("val"), ("train", "val"))
    if "train" not in sets and "train" not in meant:
        facts.problem(("datasets", "train"), "is missing: the images to train on")
    has_val = any(key.startswith("val") for key in [*sets, *meant])
    if not has_val and facts.on("val", "val_enabled"):
        facts.problem(("datasets", "val"), "is missing: add it, or set val.val_enabled: false")


def _check_test(facts: Facts) -> None:
    if facts.section("datasets") is not None:
        sets = facts.entries("datasets")
        meant = _check_set_names(facts, lambda key: key.startswith(("test", "val")), ("test", "val"))
        if not sets and not meant:
            facts.problem(("datasets", "test"), "is missing: the images to test on")
    weights = facts.root.at(("path", "pretrain_network_g"))
    if weights is None or weights.value is None:
        others = [key for key in facts.entries("path") if key != "pretrain_network_g"]
        mistyped = any(nearest(key, ("pretrain_network_g",)) for key in others)
        if not mistyped and not facts.is_mistyped("path"):
            facts.problem(("path", "pretrain_network_g"), "is missing: the weights to test")


def _check_set_names(facts: Facts, is_known: Callable[[str], bool], known: tuple[str, ...]) -> set[str]:
    meant: set[str] = set()
    for key, node in facts.entries("datasets").items():
        if not is_known(key):
            near = nearest(key, known)
            meant |= {near} if near else set()
            hint = f"; did you mean '{near}'?" if near else ""
            reads = " and ".join(f"'{name}…'" if name != "train" else "'train'" for name in known)
            facts.report.at(node, f"no such set{hint}   known: {reads}")
    return meant


def _check_needed(facts: Facts) -> None:
    """Report what a training set cannot do without and lacks, for datasets that have these options."""
    dataset = facts.chosen.get(("datasets", "train"))
    known = dataset.options.model_fields if dataset is not None else {}
    at = ("datasets", "train")
    written = facts.entries(*at)
    mistyped = [nearest(key, known) for key in written if key not in known]
    if "dataroot_gt" in known and not {"dataroot_gt"} & {*written, *mistyped}:
        facts.problem((*at, "dataroot_gt"), "is missing: the folder of the large images")
    if "lq_size" in known and not {"lq_size", "gt_size"} & {*written, *mistyped}:
        facts.problem((*at, "lq_size"), "is missing: side of the random crops, in LQ pixels")


def _check_end(facts: Facts) -> None:
    """Report a schedule beside the one that the clock makes, and a decay that no clock begins."""
    share = facts.root.at(("train", "decay_share"))
    if facts.value(("train", "end_at"), str) is None:
        if share is not None and facts.root.at(("train", "end_at")) is None:
            facts.problem(("train", "decay_share"), "has no effect without end_at")
        return
    for key in ("scheduler", "scheduler_d"):
        schedule = facts.chosen.get(("train", key))
        if schedule is not None and schedule.name != "constantlr":
            message = f"{schedule.name} depends on the iteration, and end_at ends the run by the clock: the rate is "
            message += "constant, then falls to zero. Remove the section (ConstantLR is allowed), or end_at"
            facts.problem(("train", key), message)


def _check_networks(facts: Facts) -> None:
    """Report a model that lacks one of its networks or has one that it does not train, and one without an optimizer."""
    model = facts.chosen.get(("model",))
    written = [key for key in ("network_d",) if facts.section(key) is not None]
    if model is not None:
        wanted = [name.replace("net_", "network_") for name in model.traits.learners]
        for key in [key for key in wanted if key != "network_g" and key not in written]:
            facts.problem((key,), f"is missing: the model {model.name} trains it")
        for key in [key for key in written if key not in wanted]:
            facts.problem((key,), f"is not trained by the model {model.name}, which trains {' and '.join(wanted)}")
    has_optimizer = facts.section("train", "optim_d") is not None
    if written and not has_optimizer:
        facts.problem(("train", "optim_d"), "is missing: the optimizer of network_d")
    of_opponent = [("train", key) for key in ("optim_d", "scheduler_d", "ema_decay_d")]
    for path in [*of_opponent, ("path", "pretrain_network_d")]:
        node = facts.root.at(path)
        if not written and node is not None and node.value:
            facts.problem(path, "has no effect without network_d")


def _check_splits(facts: Facts) -> None:
    """Report validation images that are held out of folders which the training uses in another way."""
    train = ("datasets", "train")
    for key in facts.entries("datasets"):
        held = ("datasets", key)
        shared = _roots(facts, *train) & _roots(facts, *held)
        if key == "train" or not shared or facts.value((*held, "split"), str) != "val":
            continue
        if facts.value((*train, "split"), str) == "all":
            facts.problem((*train, "split"), f"must be train: datasets.{key} holds images out of the same folder")
        for name, same in (
            ("dataroot_gt", _roots(facts, *train) == _roots(facts, *held)),
            ("meta_info", facts.value((*train, "meta_info"), str) == facts.value((*held, "meta_info"), str)),
        ):
            if not same:
                facts.problem((*held, name), "must be as in datasets.train, else other images are held out")


def _roots(facts: Facts, *path: str) -> set[Path]:
    node = facts.root.at((*path, "dataroot_gt"))
    written = None if node is None else node.plain()
    return {Path(root) for root in (written if isinstance(written, list) else [written]) if isinstance(root, str)}
