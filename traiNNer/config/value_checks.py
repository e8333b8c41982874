"""Values that are right alone, but not with the length of the run or the switch they belong to: one warning each.

Where a run could learn nothing at all, the file is refused instead.
"""

from collections.abc import Iterator
from typing import NamedTuple

from traiNNer.config.facts import Facts
from traiNNer.config.rate_checks import check_rates
from traiNNer.config.tree import Path, key_of, shown

LOSSES = ("train", "losses")
EMA_SPANS_RUN = 1.0


class Switch(NamedTuple):
    """An option that has no effect while another is off."""

    option: Path
    switch: Path
    words: str


# Beside a switch that is written and off, a value is only kept for later.
SWITCHES = (
    Switch(("train", "grad_clip_max_norm"), ("train", "grad_clip"), "without train.grad_clip: true"),
    Switch(("val", "tile_overlap"), ("val", "tile_size"), "without val.tile_size"),
    Switch(("amp_bf16",), ("use_amp",), "without use_amp: true"),
)
ENDS = {
    ("val", "val_freq"): "validates only at its end",
    ("logger", "save_checkpoint_freq"): "is saved only at its end",
    ("logger", "print_freq"): "shows its first iterations only",
}


def check_values(facts: Facts) -> None:
    """Report losses that teach nothing, and warn of every value that will not do what it seems to."""
    _check_weights(facts)
    facts.report.warnings += _without_switch(facts)
    facts.report.warnings += _idle_validation(facts)
    length = facts.value(("train", "total_iter"), int)
    if length is not None and facts.value(("train", "end_at"), str) is None:
        check_rates(facts, length)
        for check in (_warmup, _frequencies, _losses_that_never_join, _growth, _average):
            facts.report.warnings += check(facts, length)


def _written(facts: Facts, path: Path) -> str | None:
    """Return `key = value (line 3)` of an option that the file gives, and None for one that has its default."""
    node = facts.root.at(path)
    return None if node is None or node.key in facts.report.bad else f"{node.key} = {shown(node)} ({node.place()})"


def _without_switch(facts: Facts) -> Iterator[str]:
    for option, switch, words in SWITCHES:
        written = _written(facts, option)
        if written and facts.root.at(switch) is None:
            yield f"{written} has no effect {words}"


def _idle_validation(facts: Facts) -> Iterator[str]:
    computes = facts.on("val", "metrics_enabled") and bool(facts.entries("val", "metrics"))
    shows = facts.on("val", "save_img") or facts.on("logger", "use_tb_logger")
    if facts.on("val", "val_enabled") and not computes and not shows and not facts.is_mistyped("val"):
        yield "validation leaves nothing: add val.metrics or val.save_img: true, or set val.val_enabled: false"


def _check_weights(facts: Facts) -> None:
    node = facts.root.at(LOSSES)
    count = len(node.value) if node is not None and isinstance(node.value, list) else 0
    weights = [facts.value((*LOSSES, place, "loss_weight"), float) for place in range(count)]
    known = [weight for weight in weights if weight is not None]
    if known and len(known) == count and max(known) <= 0:
        what = "0" if not any(known) else "0 or less"
        facts.problem(LOSSES, f"no loss teaches anything: every loss_weight is {what}")
        return
    for place, weight in enumerate(weights):
        if weight is not None and weight < 0:
            key = key_of((*LOSSES, place, "loss_weight"))
            facts.report.warnings.append(
                f"{_written(facts, (*LOSSES, place, 'loss_weight')) or key} makes this loss grow"
            )


def _warmup(facts: Facts, length: int) -> Iterator[str]:
    warmup, rate = facts.value(("train", "warmup_iter"), int), facts.value(("train", "optim_g", "lr"), float)
    if warmup is not None and warmup >= length:
        reached = f": the highest rate is {rate * length / warmup:.3g} of {rate:g}" if rate is not None else ""
        yield f"{_written(facts, ('train', 'warmup_iter'))} does not end within total_iter {length:,}{reached}"


def _frequencies(facts: Facts, length: int) -> Iterator[str]:
    is_validating = facts.on("val", "val_enabled")
    for path, what in ENDS.items():
        frequency, written = facts.value(path, int), _written(facts, path)
        if written and frequency is not None and frequency > length and (path[0] != "val" or is_validating):
            yield f"{written} is beyond total_iter {length:,}: the run {what}"


def _losses_that_never_join(facts: Facts, length: int) -> Iterator[str]:
    node = facts.root.at(LOSSES)
    count = len(node.value) if node is not None and isinstance(node.value, list) else 0
    for place in range(count):
        start = facts.value((*LOSSES, place, "start_iter"), int)
        if start is not None and start >= length:
            yield f"{_written(facts, (*LOSSES, place, 'start_iter'))}: this loss never joins, total_iter is {length:,}"


def _growth(facts: Facts, length: int) -> Iterator[str]:
    at = ("datasets", "train", "crop_growth")
    node = facts.root.at(at)
    count = len(node.value) if node is not None and isinstance(node.value, list) else 0
    last = facts.value((*at, count - 1, "until"), int) if count else None
    if last is not None and last >= length:
        where = _written(facts, (*at, count - 1, "until"))
        yield f"{where}: crops never have their full size, total_iter is {length:,}"


def _average(facts: Facts, length: int) -> Iterator[str]:
    for key in ("ema_decay", "ema_decay_d"):
        decay, written = facts.value(("train", key), float), _written(facts, ("train", key))
        if written and decay is not None and 0 < decay < 1 and (1 - decay) * length < EMA_SPANS_RUN:
            yield (
                f"{written} would average over {1 / (1 - decay):,.0f} iterations, and total_iter is {length:,}: "
                "the decay stays below it, at (1 + n) / (10 + n)"
            )
