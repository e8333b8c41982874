"""How a time budget is spent: iterations, schedule, validations. Pure arithmetic on measured costs."""

import math
import re
from dataclasses import dataclass

from traiNNer.errors import ConfigError
from traiNNer.measuring.measured import Costs

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SPENT = 0.97
"""Share of the budget that is planned for: the rest is for what no measurement saw."""
VALIDATING = 0.02
"""Largest share of the time that is validated in."""
MOST_VALIDATIONS = 20
LEAST_ITERATIONS = 200
"""With fewer no network gets above bicubic upscaling, so such a run is not worth its time."""
AUTOMATIONS_COST = 1.01
"""Iterations with the five automations take so many times as long as without."""


@dataclass(frozen=True)
class Plan:
    """A run that ends within its budget."""

    total_iter: int
    warmup_iter: int
    val_freq: int
    patience: int
    plateau_patience: int
    save_freq: int
    seconds: float
    """What it will take."""
    validating: float
    """Share of the time that validation takes."""

    @property
    def validations(self) -> int:
        """How often it validates."""
        return -(-self.total_iter // self.val_freq)


def seconds_of(text: str) -> float:
    """Return the seconds of `90s`, `30m`, `8h`, `1h30m` or `2d`; a plain number means minutes.

    Raises:
        ConfigError: the text is not a duration, or nothing is left of it.
    """
    parts = re.fullmatch(
        r"\s*(?:(\d+(?:\.\d+)?)\s*d)?\s*(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?"
        r"\s*(?:(\d+(?:\.\d+)?)\s*s)?\s*",
        text.lower(),
    )
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        seconds = 60 * float(text)
    elif parts and any(parts.groups()):
        seconds = sum(UNITS[unit] * float(found or 0) for unit, found in zip("dhms", parts.groups(), strict=True))
    else:
        raise ConfigError(f"--budget {text}: not a duration. Write 90s, 30m, 8h, 1h30m or 2d.")
    if seconds <= 0 or not math.isfinite(seconds):
        raise ConfigError(f"--budget {text}: must be longer than nothing.")
    return seconds


def duration(seconds: float) -> str:
    """Return a duration as people say it: `45 s`, `30 min`, `1 h 30 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h" + (f" {rest} min" if rest else "") if hours else f"{minutes} min"


def fit(seconds: float, costs: Costs, warmup_iter: int, spent: float = 0.0) -> Plan:
    """Return the longest run that ends within a budget.

    Args:
        seconds: the budget.
        costs: as measured.
        warmup_iter: of the preset; a short run takes at most a twentieth of its iterations.
        spent: seconds of the budget that are gone by now.

    Raises:
        ConfigError: not even one validation fits beside a little training; says what is the least.
    """
    each = AUTOMATIONS_COST / costs.it_per_s
    fixed = costs.start_s + costs.first_validation_s + 2 * costs.save_s
    least = spent + (fixed + costs.validation_s + LEAST_ITERATIONS * each) / SPENT
    if seconds < least:
        raise ConfigError(
            f"--budget {duration(seconds)} is too short to get above bicubic upscaling: measuring took "
            f"{duration(spent)}, starting takes {duration(costs.start_s)}, {LEAST_ITERATIONS} iterations "
            f"{duration(LEAST_ITERATIONS * each)} and a validation "
            f"{duration(costs.validation_s + costs.first_validation_s)}. The least is {duration(math.ceil(least))}."
        )
    left = (seconds - spent) * SPENT - fixed
    wanted = VALIDATING * left / max(costs.validation_s, 1e-3)
    validations = max(1, min(MOST_VALIDATIONS, int(wanted), int(left / each / LEAST_ITERATIONS)))
    total = _rounded_down((left - validations * costs.validation_s) / each)
    frequency = _rounded_up(total / validations)
    count = -(-total // frequency)
    took, validating = price(total, frequency, costs)
    return Plan(
        total_iter=total,
        warmup_iter=min(warmup_iter, max(10, _rounded_down(total / 40))),
        val_freq=frequency,
        patience=max(5 * frequency, _rounded_up(total / 5)),
        plateau_patience=max(50, _rounded_up(total / 20)),
        save_freq=frequency * max(1, round(count / 4)),
        seconds=took,
        validating=validating,
    )


def price(total_iter: int, val_freq: int, costs: Costs) -> tuple[float, float]:
    """Return the seconds that a run takes, and the share of them that it validates in."""
    validating = -(-total_iter // val_freq) * costs.validation_s + costs.first_validation_s
    seconds = costs.start_s + 2 * costs.save_s + total_iter * AUTOMATIONS_COST / costs.it_per_s + validating
    return seconds, validating / seconds


def _rounded_down(value: float) -> int:
    """Return a whole number of at most three figures of weight, not above the value: 10,937 becomes 10,900."""
    unit = 10 ** max(0, len(str(int(value))) - 3)
    return max(1, int(value) // unit * unit)


def _rounded_up(value: float) -> int:
    """Return a whole number of at most two figures of weight, not below the value: 437 becomes 440."""
    unit = 10 ** max(0, len(str(math.ceil(value))) - 2)
    return max(1, math.ceil(value / unit) * unit)
