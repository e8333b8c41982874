"""Rules between losses that are active for a part of the run."""

import math

from traiNNer.config.facts import Facts

AT = ("train", "losses")


def check_losses(facts: Facts) -> None:
    """Report a loss that would end before it begins, and iterations in which no loss is active."""
    node = facts.root.at(AT)
    count = len(node.value) if node is not None and isinstance(node.value, list) else 0
    spans: list[tuple[int, float]] = []
    for place in range(count):
        start = facts.value((*AT, place, "start_iter"), int) or 0
        stop = facts.value((*AT, place, "stop_iter"), int)
        if stop is not None and stop <= start:
            facts.problem((*AT, place, "stop_iter"), f"must be more than start_iter {start}")
            return
        spans.append((start, math.inf if stop is None else stop))
    total, reached = facts.value(("train", "total_iter"), int), 0.0
    if not spans or total is None:
        return
    for start, stop in [*sorted(spans), (total, math.inf)]:
        if start > reached:
            facts.problem(AT, f"no loss is active in iterations {reached + 1:,.0f} to {start:,}")
            return
        reached = max(reached, stop)
