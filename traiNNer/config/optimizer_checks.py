"""Rules between an optimizer and the rest of a file: what it needs, and what it makes superfluous."""

from traiNNer.config.facts import Facts
from traiNNer.registry import Component
from traiNNer.traits import OptimizerTraits


def check_optimizers(facts: Facts) -> None:
    """Report an optimizer whose package is missing; warn of an EMA and of a schedule beside one that averages."""
    for letter, ema, schedule in (("g", "ema_decay", "scheduler"), ("d", "ema_decay_d", "scheduler_d")):
        at = ("train", f"optim_{letter}")
        optimizer: Component[OptimizerTraits] | None = facts.chosen.get(at)
        if optimizer is None:
            continue
        needed = optimizer.traits.requires
        if needed is not None and not needed.is_met:
            facts.problem((*at, "type"), f"{optimizer.name} {needed.reason}")
        if optimizer.traits.averages:
            _warn_of_double_averages(facts, optimizer.name, ema, schedule)


def _warn_of_double_averages(facts: Facts, name: str, ema: str, schedule: str) -> None:
    written = facts.root.at(("train", ema))
    if written is not None and written.value:
        facts.report.warnings.append(
            f"train.{ema} ({written.place()}) has no effect: {name} averages the weights itself; its average is "
            "validated and saved as the EMA would be"
        )
    chosen = facts.chosen.get(("train", schedule))
    node = facts.root.at(("train", schedule))
    if chosen is not None and node is not None and chosen.name != "constantlr":
        facts.report.warnings.append(
            f"train.{schedule} ({node.place()}): {name} averages the weights instead of lowering the learning rate, so "
            "that a schedule usually makes it worse; leave the section out"
        )
