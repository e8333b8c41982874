"""Results of the simulated evidence: one row per scenario and rule, with an interval for the success rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959964


@dataclass(frozen=True)
class Row:
    """How often a rule succeeded in a scenario; `target` is the required rate, None for a baseline."""

    automation: str
    scenario: str
    rule: str
    runs: int
    successes: int
    target: float | None = None
    note: str = ""

    @property
    def rate(self) -> float:
        """Return the share of successful runs."""
        return self.successes / self.runs

    @property
    def is_met(self) -> bool:
        """Whether the target, if there is one, is reached."""
        return self.target is None or self.rate >= self.target


def wilson(successes: int, runs: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate (Wilson 1927), which stays valid near 0 and 1."""
    rate, spread = successes / runs, Z95**2 / runs
    center = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(rate * (1 - rate) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, center - half), min(1.0, center + half)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| automation | scenario | rule | success | 95 % interval | target | note |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = wilson(row.successes, row.runs)
        target = "" if row.target is None else f"{row.target:.0%} {'met' if row.is_met else 'MISSED'}"
        lines.append(
            f"| {row.automation} | {row.scenario} | {row.rule} | {row.rate:.1%} of {row.runs} "
            f"| {low:.1%} to {high:.1%} | {target} | {row.note} |"
        )
    return "\n".join(lines)
