"""Rules of the training automations that need nothing but the file."""

from traiNNer.config.facts import Facts
from traiNNer.config.layout import AUTOMATIONS_AT, HELPERS_AT, SCHEDULING_AT
from traiNNer.config.tree import Node, Report, did_you_mean

RATE, BATCH = "IntelligentLearningRateScheduler", "DynamicBatchSizeOptimizer"
CLIPPING, STOPPING = "AdaptiveGradientClipping", "IntelligentEarlyStopping"
AT = HELPERS_AT
ORDERED = (
    (BATCH, "min_batch_size", "max_batch_size"),
    (CLIPPING, "min_threshold", "max_threshold"),
    (STOPPING, "patience", "max_no_improvement"),
)
# Options of implementations whose weights go on moving during a run.
MOVING_WEIGHTS = (
    "momentum",
    "adaptation_rate",
    "min_weight",
    "max_weight",
    "adaptation_threshold",
    "baseline_iterations",
)
ADD_METRICS = "add val.metrics, with val.metrics_enabled on"
IN_DB = ("min_improvement", "improvement_threshold", "min_projected_gain")
LEAST_VALIDATIONS = 5  # a trend of fewer values is no evidence


def refuse_moving_weights(root: Node, report: Report) -> None:
    """Report options of a loss balancing that is not ours, before they are taken for mistyped ones."""
    section = root.at(SCHEDULING_AT)
    for key, node in (section.entries() if section is not None else {}).items():
        if key in MOVING_WEIGHTS:
            report.at(node, "has no counterpart: weights are calibrated once, by auto_calibrate, and then stay")


def check_automations(facts: Facts) -> None:
    """Report every rule that the helpers' sections break; warn of what will not do what it seems to."""
    for helper, low, high in ORDERED:
        _check_order(facts, helper, low, high)
    _check_monitors(facts)
    if _in_use(facts, RATE):
        _check_veto(facts)
    if _in_use(facts, STOPPING):
        _check_stopping(facts)
    _warn(facts)


def _in_use(facts: Facts, helper: str) -> bool:
    return (
        facts.section(*AT, helper) is not None
        and facts.on(*AUTOMATIONS_AT, "enabled")
        and facts.on(*AT, helper, "enabled")
    )


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


def _check_veto(facts: Facts) -> None:
    """Report validation that is watched alone and not there; beside the loss it is a veto that may be missing."""
    off, on = (*AT, RATE, "monitor_loss"), (*AT, RATE, "monitor_validation")
    if facts.value(off, bool) is not False or facts.value(on, bool) is not True or _is_unsure(facts):
        return
    if facts.value(("val", "val_enabled"), bool) is False:
        facts.problem(off, "monitor_validation alone needs validation: val.val_enabled is false")
    elif not _monitorable(facts):
        facts.problem(off, f"monitor_validation alone needs a metric: {ADD_METRICS}")


def _is_unsure(facts: Facts) -> bool:
    """Tell whether what validation computes is not known yet, because something is wrong there."""
    return facts.is_mistyped("val") or any(key.startswith(("val.", "train.val.")) for key in facts.report.bad)


def _check_stopping(facts: Facts) -> None:
    if facts.value(("val", "val_enabled"), bool) is False:
        facts.problem((*AT, STOPPING, "enabled"), "needs validation: val.val_enabled is false")
        return
    if _is_unsure(facts):
        return
    monitored = facts.value((*AT, STOPPING, "monitor_metric"), str)
    known = _monitorable(facts)
    if monitored is not None and monitored not in known:
        listed = ", ".join(known) or f"none ({ADD_METRICS})"
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
    if _in_use(facts, BATCH):
        _warn_batch(facts)
    if _in_use(facts, CLIPPING) and facts.value(("train", "grad_clip"), bool) is False:
        warn(f"train.grad_clip is false: {CLIPPING} can only observe, never clip")
    if _in_use(facts, RATE) and not facts.entries("train", "scheduler"):
        _warn_fallback(facts)
    if _in_use(facts, STOPPING):
        _warn_raised(facts)
        _warn_units(facts)


def _warn_batch(facts: Facts) -> None:
    size = facts.value(("datasets", "train", "batch_size_per_gpu"), int)
    low, high = (facts.value((*AT, BATCH, key), int) for key in ("min_batch_size", "max_batch_size"))
    if size is not None and low is not None and high is not None and low <= high and not low <= size <= high:
        bounds = f"{BATCH}'s {low} to {high}"
        facts.report.warnings.append(f"datasets.train.batch_size_per_gpu = {size} is outside {bounds}: clamped")


def _warn_fallback(facts: Facts) -> None:
    total = facts.value(("train", "total_iter"), int)
    t_max = facts.root.at((*AT, RATE, "fallback", "scheduler_params", "T_max"))
    if total is not None and t_max is not None and t_max.value != total:
        facts.report.warnings.append(f"{t_max.key} = {t_max.value} is not train.total_iter; {total} is used")


def _warn_raised(facts: Facts) -> None:
    """Warn of values of early stopping in whose place a larger one is used."""
    frequency = facts.value(("val", "val_freq"), int) if facts.on("val", "val_enabled") else None
    least = None if frequency is None else LEAST_VALIDATIONS * frequency
    _warn_below(facts, "patience", f"{LEAST_VALIDATIONS} validations", least)
    _warn_below(facts, "warmup_iterations", "train.warmup_iter", facts.value(("train", "warmup_iter"), int))


def _warn_units(facts: Facts) -> None:
    """Warn of thresholds in dB for a metric that is not in dB: an SSIM never gains 0.05."""
    metric = facts.value((*AT, STOPPING, "monitor_metric"), str) or ""
    missing = [key for key in IN_DB if facts.root.at((*AT, STOPPING, key)) is None]
    if missing and "psnr" not in metric.rpartition("/")[2].lower():
        facts.report.warnings.append(
            f"{STOPPING}: the defaults of {', '.join(missing)} are in dB; give values in units of {metric}"
        )


def _warn_below(facts: Facts, key: str, what: str, least: int | None) -> None:
    value = facts.value((*AT, STOPPING, key), int)
    if value is not None and least is not None and value < least:
        facts.report.warnings.append(f"{STOPPING}.{key} = {value} is below {what}: {least} is used")
