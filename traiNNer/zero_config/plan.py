"""How a time budget is spent: iterations, schedule, validations. Pure arithmetic on measured costs."""

import math
from dataclasses import dataclass

from traiNNer.errors import ConfigError
from traiNNer.measuring.measured import Costs
from traiNNer.utils import durations
from traiNNer.utils.durations import duration

SPENT = 0.97
"""Share of the budget that is planned for: the rest is for what no measurement saw."""
VALIDATING = 0.03
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
    """Return the seconds of a budget. Raises `ConfigError` for what is not a duration, or nothing."""
    try:
        return durations.seconds_of(text)
    except ValueError as error:
        raise ConfigError(f"--budget {text}: {error}") from None


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
            f"{duration(costs.validation_s + costs.first_validation_s)}. The least is {duration(_whole(least))}."
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


def _whole(seconds: float) -> int:
    """Return seconds as a duration that is not below them once it is told in minutes."""
    return math.ceil(seconds) if seconds < 100 else 60 * math.ceil(seconds / 60)


def _rounded_down(value: float) -> int:
    """Return a whole number of at most three figures of weight, not above the value: 10,937 becomes 10,900."""
    unit = 10 ** max(0, len(str(int(value))) - 3)
    return max(1, int(value) // unit * unit)


def _rounded_up(value: float) -> int:
    """Return a whole number of at most two figures of weight, not below the value: 437 becomes 440."""
    unit = 10 ** max(0, len(str(math.ceil(value))) - 2)
    return max(1, math.ceil(value / unit) * unit)
