"""Learning-rate schedules as pure functions: iteration, counted from 0, to the factor of the base learning rate.

Options are named and mean the same as in `torch.optim.lr_scheduler`, those of `CosineAnnealingRestartLR` as in BasicSR.
Nothing here has a state: a resumed run asks for
the factor of its iteration and gets the one it would have had. A schedule is an immutable object that is called.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field

from traiNNer.errors import ConfigError
from traiNNer.registry import SCHEDULES

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Schedule = Callable[[int], float]
FINISH = 0.3


@SCHEDULES.register()
@dataclass(frozen=True)
class MultiStepLR:
    """The learning rate is multiplied by `gamma` at every milestone.

    Args:
        milestones: Iterations at which the rate changes.
        gamma: Factor of each change.
    """

    milestones: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    gamma: Positive = 0.1

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        return self.gamma ** bisect_right(sorted(self.milestones), iteration)


@SCHEDULES.register()
@dataclass(frozen=True)
class ConstantLR:
    """The learning rate is multiplied by `factor` for the first `total_iters` iterations, then it is the base rate.

    Args:
        factor: Factor of the first iterations.
        total_iters: How many iterations that is; not the length of the run.
    """

    factor: Fraction = 1 / 3
    total_iters: PositiveInt = 5

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        return self.factor if iteration < self.total_iters else 1.0


@SCHEDULES.register()
@dataclass(frozen=True)
class LinearLR:
    """The factor goes from `start_factor` to `end_factor` along a line and stays there.

    Args:
        start_factor: Factor at the first iteration.
        end_factor: Factor from iteration `total_iters` on.
        total_iters: Iterations from start to end; not the length of the run.
    """

    start_factor: Fraction = 1 / 3
    end_factor: Annotated[float, Field(ge=0, le=1)] = 1.0
    total_iters: PositiveInt = 5

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        share = min(iteration, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


@SCHEDULES.register()
@dataclass(frozen=True)
class CosineAnnealingLR:
    """The learning rate falls along half a cosine to `eta_min` and stays there.

    Loshchilov and Hutter, "SGDR", 2017, without restarts. torch's own rises again after `T_max`; this one does not.

    Args:
        T_max: Iterations until the lowest rate; by default the length of the run.
        eta_min: The lowest learning rate itself, not a factor.
    """

    total_iter: int
    base_lr: float
    T_max: PositiveInt | None = None
    eta_min: NonNegative = 0.0

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        share = min(1.0, iteration / (self.T_max or self.total_iter))
        return _cosine(1.0, self.eta_min / self.base_lr, share)


@SCHEDULES.register()
@dataclass(frozen=True)
class CosineAnnealingWarmRestarts:
    """The learning rate falls along half a cosine to `eta_min`, jumps back to the base rate, and so on.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.

    Args:
        T_0: Iterations until the first restart.
        T_mult: How many times longer each cycle is than the one before.
        eta_min: The lowest learning rate itself, not a factor.
    """

    base_lr: float
    T_0: PositiveInt
    T_mult: PositiveInt = 1
    eta_min: NonNegative = 0.0

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        length, place = self.T_0, iteration
        if self.T_mult == 1:
            place %= length
        while place >= length:
            place -= length
            length *= self.T_mult
        return _cosine(1.0, self.eta_min / self.base_lr, place / length)


@SCHEDULES.register()
@dataclass(frozen=True)
class CosineAnnealingRestartLR:
    """The learning rate falls along half a cosine to `eta_min` in every period, each with its length and first rate.

    A period's last iteration has the lowest rate, the one after it the first of the next. Beyond the last period it
    stays at the lowest. Loshchilov and Hutter, "SGDR", 2017.

    Args:
        periods: Length of every cycle, in iterations.
        restart_weights: Factor of the base rate that each cycle starts from, one for every period; by default all 1.
        eta_min: The lowest learning rate itself, not a factor.

    Raises:
        ConfigError: there are more or fewer weights than periods.
    """

    base_lr: float
    periods: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    restart_weights: tuple[Positive, ...] | None = None
    eta_min: NonNegative = 0.0

    def __post_init__(self) -> None:
        if self.restart_weights is not None and len(self.restart_weights) != len(self.periods):
            raise ConfigError(
                f"CosineAnnealingRestartLR: restart_weights has {len(self.restart_weights)} numbers for "
                f"{len(self.periods)} periods; give one for each, or leave it out"
            )

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        ends = list(accumulate(self.periods))
        # An iteration at which a period ends belongs to that period, not to the next.
        place = min(bisect_left(ends, iteration), len(ends) - 1)
        start = ends[place] - self.periods[place]
        share = min(1.0, (iteration - start) / self.periods[place])
        lowest = self.eta_min / self.base_lr
        weight = 1.0 if self.restart_weights is None else self.restart_weights[place]
        return lowest + weight * _cosine(1.0 - lowest, 0.0, share)


@SCHEDULES.register()
@dataclass(frozen=True)
class WarmupStableDecayLR:
    """The learning rate rises along a line, stays, and falls to `eta_min` in the last iterations of the run.

    Its plateau does not depend on the length of the run. Hägele et al., "Scaling Laws and Compute-Optimal Training
    Beyond Fixed Training Durations", 2024.

    Args:
        warmup_iters: Iterations of the rise, from one `warmup_iters`-th of the base rate; `train.warmup_iter` does the
            same for every schedule.
        decay_iters: Iterations of the fall; by default a fifth of the run.
        decay_type: Form of the fall: `linear`, `cosine`, or `sqrt` (one minus the root of the share that is done).
        eta_min: The lowest learning rate itself, not a factor.
    """

    total_iter: int
    base_lr: float
    warmup_iters: NonNegativeInt = 0
    decay_iters: PositiveInt | None = None
    decay_type: Literal["linear", "cosine", "sqrt"] = "linear"
    eta_min: NonNegative = 0.0

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        length = self.decay_iters or max(1, self.total_iter // 5)
        share = min(1.0, max(0.0, (iteration - (self.total_iter - length)) / length))
        lowest = self.eta_min / self.base_lr
        if self.decay_type == "cosine":
            fall = _cosine(1.0, lowest, share)
        else:
            fall = _line(1.0, lowest, math.sqrt(share) if self.decay_type == "sqrt" else share)
        return fall * warmup(iteration, self.warmup_iters)


@SCHEDULES.register()
@dataclass(frozen=True)
class OneCycleLR:
    """The learning rate rises to `max_lr` and falls far below its start, once; then it stays there.

    Smith and Topin, "Super-convergence", 2019. Only the learning rate follows the cycle: torch's also moves the
    momentum, which is left alone here.

    Args:
        max_lr: The highest learning rate itself; by default the optimizer's `lr`.
        total_steps: Iterations of the whole cycle; by default the length of the run.
        pct_start: Share of the cycle in which the rate rises.
        anneal_strategy: Form of the rise and fall, `cos` or `linear`.
        div_factor: The first rate is `max_lr / div_factor`.
        final_div_factor: The last rate is the first one divided by this.
        three_phase: Fall back to the first rate as fast as it rose, and only then on to the last one.
    """

    total_iter: int
    base_lr: float
    max_lr: Positive | None = None
    total_steps: PositiveInt | None = None
    pct_start: Annotated[float, Field(ge=0, le=1)] = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    three_phase: bool = False

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        blend = _cosine if self.anneal_strategy == "cos" else _line
        start = 0.0
        for end, first, last in self._phases():
            if iteration <= end:
                share = (iteration - start) / (end - start) if end > start else 1.0
                return blend(first, last, share)
            start = end
        return self._phases()[-1][2]

    def _phases(self) -> list[tuple[float, float, float]]:
        """Return the last iteration of every phase and the factors at its two ends."""
        peak = (self.max_lr or self.base_lr) / self.base_lr
        low, steps = peak / self.div_factor, self.total_steps or self.total_iter
        lowest, last = low / self.final_div_factor, float(steps - 1)
        # torch counts a phase's length from 0, hence the "- 1", which for short cycles may even lie before the start.
        rise = self.pct_start * steps - 1
        if self.three_phase:
            return [(rise, low, peak), (2 * self.pct_start * steps - 2, peak, low), (last, low, lowest)]
        return [(rise, low, peak), (last, peak, lowest)]


def warmup(iteration: int, warmup_iter: int) -> float:
    """Return the factor of a linear warm-up: 1/n at the first of `warmup_iter` = n iterations, 1 from the n-th on."""
    return min(1.0, (iteration + 1) / warmup_iter) if warmup_iter else 1.0


def finish(iteration: int, total_iter: int) -> float:
    """Return the factor of a linear decay to zero over the last 30 % of a run: 1 before, 0 at its end.

    It is optimal in the worst case: Defazio et al., "When, Why and How Much?", 2023.
    """
    return min(1.0, max(0.0, 1 - iteration / total_iter) / FINISH)


def compose(schedule: Schedule | None, warmup_iter: int = 0) -> Schedule:
    """Return schedule times warm-up; both count from the first iteration. No schedule means a constant rate."""
    if schedule is None:
        return lambda iteration: warmup(iteration, warmup_iter)
    return lambda iteration: schedule(iteration) * warmup(iteration, warmup_iter)


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _line(first: float, last: float, share: float) -> float:
    return first + (last - first) * share
