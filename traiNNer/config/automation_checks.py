"""Rules of the training automations that need nothing but the file."""

from traiNNer.config.facts import Facts
from traiNNer.config.layout import AUTOMATIONS_AT, class_name
from traiNNer.config.tree import did_you_mean

RATE, BATCH = "intelligent_learning_rate_scheduler", "dynamic_batch_size_optimizer"
CLIPPING, STOPPING = "adaptive_gradient_clipping", "intelligent_early_stopping"
AT = ("train", "training_automations")
ORDERED = (
    (BATCH, "min_batch_size", "max_batch_size"),
    (CLIPPING, "min_threshold", "max_threshold"),
    (STOPPING, "patience", "max_no_improvement"),
)


def check_automations(facts: Facts) -> None:
    """Report every rule that the helpers' sections break; warn of what will not do what it seems to."""
    assert AT == AUTOMATIONS_AT
    for helper, low, high in ORDERED:
        _check_order(facts, helper, low, high)
    _check_monitors(facts)
    if _in_use(facts, STOPPING):
        _check_stopping(facts)
    _warn(facts)


def _in_use(facts: Facts, helper: str) -> bool:
    return facts.section(*AT, helper) is not None and facts.on(*AT, "enabled") and facts.on(*AT, helper, "enabled")


def _check_order(facts: Facts, helper: str, low: str, high: str) -> None:
    if facts.section(*AT, helper) is None:
        return
    least, most = (facts.value((*AT, helper, key), float) for key in (low, high))
    if least is not None and most is not None and least > most:
        blamed = high if facts.section(*AT, helper, high) or facts.root.at((*AT, helper, high)) else low
        other, value, relation = (low, least, "at least") if blamed == high else (high, most, "at most")
        facts.problem((*AT, helper, blamed), f"must be {relation} {other}, which is {value:g}")


def _check_monitors(facts: Facts) -> None:
    if facts.section(*AT, RATE) is None:
        return
    switches = ("monitor_loss", "monitor_validation")
    if all(facts.value((*AT, RATE, key), bool) is False for key in switches):
        facts.problem((*AT, RATE, "monitor_validation"), "monitor_loss is off too; one of them must be on")


def _check_stopping(facts: Facts) -> None:
    if facts.value(("val", "val_enabled"), bool) is False:
        facts.problem((*AT, STOPPING, "enabled"), "needs validation: val.val_enabled is false")
        return
    if facts.is_mistyped("val") or any(key.startswith(("val.", "train.val.")) for key in facts.report.bad):
        return  # what validation computes is not known yet
    monitored = facts.value((*AT, STOPPING, "monitor_metric"), str)
    known = _monitorable(facts)
    if monitored is not None and monitored not in known:
        listed = ", ".join(known) or "none (add val.metrics, with val.metrics_enabled on)"
        hint = did_you_mean(monitored, known)
        facts.problem(
            (*AT, STOPPING, "monitor_metric"), f"validation does not compute {monitored}{hint}   known: {listed}"
        )


def _monitorable(facts: Facts) -> list[str]:
    if not facts.on("val", "metrics_enabled"):
        return []
    titles = ["val"]
    for key, node in facts.entries("datasets").items():
        name = node.child("name")
        if key != "train":
            titles += [key, *([name.value] if name is not None and isinstance(name.value, str) else [])]
    return [f"{title}/{metric}" for title in dict.fromkeys(titles) for metric in facts.entries("val", "metrics")]


def _warn(facts: Facts) -> None:
    warn = facts.report.warnings.append
    if facts.on(*AT, "enabled"):
        warn("train.training_automations is checked, but the helpers are not part of this version: no effect")
    if facts.on("train", "dynamic_loss_scheduling", "enabled"):
        warn("train.dynamic_loss_scheduling is checked, but not part of this version: no effect")
    if _in_use(facts, BATCH):
        _warn_batch(facts)
    if _in_use(facts, CLIPPING) and facts.value(("train", "grad_clip"), bool) is False:
        warn(f"train.grad_clip is false: {class_name(CLIPPING)} can only observe, never clip")
    if _in_use(facts, RATE) and not facts.entries("train", "scheduler"):
        _warn_fallback(facts)


def _warn_batch(facts: Facts) -> None:
    size = facts.value(("datasets", "train", "batch_size_per_gpu"), int)
    low, high = (facts.value((*AT, BATCH, key), int) for key in ("min_batch_size", "max_batch_size"))
    if size is not None and low is not None and high is not None and low <= high and not low <= size <= high:
        bounds = f"{class_name(BATCH)}'s {low} to {high}"
        facts.report.warnings.append(f"datasets.train.batch_size_per_gpu = {size} is outside {bounds}: clamped")


def _warn_fallback(facts: Facts) -> None:
    total = facts.value(("train", "total_iter"), int)
    t_max = facts.root.at((*AT, RATE, "fallback", "scheduler_params", "T_max"))
    if total is not None and t_max is not None and t_max.value != total:
        facts.report.warnings.append(f"{t_max.key} = {t_max.value} is not train.total_iter; {total} is used")
