"""The automation that moves the gradient limit."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from traiNNer.automations.gradient_clipping_rules import FIRST, SKIP, SURE, NormStatistics, proposal
from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionWarning, check_order
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Decision, Evidence, RunStarted, Say, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import GRAD_CLIP, GRAD_SKIP, Range
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
BOUND_TOO_OFTEN = 0.2
BOUND_AFTER = 50


class ClippingFallback(StrictOptions):
    """The gradient limit that is active after the automation was disabled."""

    threshold: Positive | None = None
    """Largest gradient norm after the automation was disabled, by default 1.0; also active when it is switched off
    with `enabled: false`, where the default is grad_clip_max_norm."""


BY_DEFAULT = ClippingFallback()


@AUTOMATIONS.register(name="AdaptiveGradientClipping")
class AdaptiveGradientClipping(Automation):
    """A gradient limit that follows the statistics.

    The limit wanted is exp(median + 2.5 robust standard deviations) of the log norms, averaged over evaluations; a step
    with more than 20 times the median is skipped. Norms are remembered as at most the limit, so that a spike cannot
    raise it (unlike AutoClip, Seetharaman et al. 2020, and ZClip, Kumar et al. 2025, which remember it).

    Args:
        initial_threshold: Limit before there are statistics.
        min_threshold: Smallest limit.
        max_threshold: Largest limit.
        threshold_mode: Whether the bounds are gradient norms or multiples of the median norm.
        adjustment_factor: The limit moves only if the wanted one is this many times away.
        monitoring_frequency: Iterations between evaluations; the norm itself is checked every time.
        gradient_history_size: Norms remembered.
        fallback: What is active after the automation was disabled.
        max_adjustments: Changes before the limit is frozen.
    """

    title = "clipping"
    needs = "grad_norm"
    remembered = (
        "memory",
        "bound",
        "has_warned",
        "direction",
        "regimes",
        "applied",
        "clipped",
        "exploded",
        "broken",
        "observed",
    )

    def __init__(
        self,
        initial_threshold: Positive = 1.0,
        min_threshold: Positive = 0.1,
        max_threshold: Positive = 10.0,
        threshold_mode: Literal["absolute", "relative"] = "absolute",
        adjustment_factor: Annotated[float, Field(gt=1)] = 1.2,
        monitoring_frequency: Count = 10,
        gradient_history_size: Count = 100,
        fallback: ClippingFallback = BY_DEFAULT,
        max_adjustments: Count = 100,
    ) -> None:
        self.is_absolute = threshold_mode == "absolute"
        self.low, self.high = min_threshold, max_threshold
        self.start = min(max(initial_threshold, self.low), self.high) if self.is_absolute else initial_threshold
        self.factor = adjustment_factor
        self.every = monitoring_frequency
        self.size = gradient_history_size
        self.fallback = fallback
        self.max_adjustments = max_adjustments
        self.is_clipping = True
        self.norms = NormStatistics(self.size, self.every)
        self.bound = 0
        self.has_warned = False
        self.direction = self.regimes = 0
        self.applied = self.clipped = self.exploded = self.broken = 0
        self.observed = self.start

    @classmethod
    def check_options(cls, options: Any, facts: OptionFacts) -> Iterator[OptionProblem | OptionWarning]:
        """Report bounds that are the wrong way round; warn where the run does not clip."""
        yield from check_order(options, "min_threshold", "max_threshold")
        if facts.is_on and facts.is_clipping is False:
            yield OptionWarning(f"train.grad_clip is false: {cls.__name__} can only observe, never clip")

    @classmethod
    def knobs_when_disabled(cls, options: Any) -> Mapping[str, float]:
        """Return the fallback, where the file gives one."""
        threshold = options.fallback.threshold
        return {} if threshold is None else {GRAD_CLIP: threshold}

    @property
    def memory(self) -> dict[str, Any]:
        """What the statistics remember."""
        return self.norms.state()

    @memory.setter
    def memory(self, state: Mapping[str, Any]) -> None:
        self.norms.restore(state)

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:
        """Return bounds (in absolute mode), start and fallback of the limit, and that nothing is skipped at first."""
        if not run.is_clipping:
            return {}
        bounds = (self.low, self.high) if self.is_absolute else (None, None)
        clip = Range(*bounds, start=self.start, fallback=self.fallback.threshold or 1.0)
        return {GRAD_CLIP: clip, GRAD_SKIP: Range(start=math.inf, fallback=math.inf)}

    def on_start(self, run: RunStarted) -> Iterable[Decision]:
        """Learn whether the run clips at all; otherwise only observe."""
        self.is_clipping = run.is_clipping
        return ()

    def on_window(self, event: WindowFinished) -> Iterator[Decision]:
        """Remember the norms, and every `monitoring_frequency` iterations let the limit follow them."""
        limit = self._limit()
        for step in event.steps:
            self._record(step, limit)
        if event.iteration % self.every == 0:
            yield from self._evaluate()

    def summary(self) -> str:
        """Return the share of steps that were clipped, and how many exploding ones were skipped."""
        share = 100 * self.clipped / self.applied if self.applied else 0.0
        if not self.is_clipping:
            return f"observing only (grad_clip is false), {share:.1f} % of steps were above the threshold"
        steps = "step" if self.exploded == 1 else "steps"
        skipped = f", {self.exploded} exploding {steps} skipped" if self.exploded else ""
        broken = f", {self.broken} not finite" if self.broken else ""
        return f"{share:.1f} % of steps{skipped}{broken}"

    # What was seen

    def _limit(self) -> float:
        return self.knobs[GRAD_CLIP].value if self.is_clipping else self.observed

    def _record(self, step: Step, limit: float) -> None:
        norm = step.grad_norm
        if not step.applied:
            is_finite = math.isfinite(norm) and math.isfinite(step.loss)
            self.exploded, self.broken = self.exploded + is_finite, self.broken + (not is_finite)
        if not step.applied or not math.isfinite(norm):
            return
        self.applied += 1
        self.clipped += norm > limit
        if norm > 0:
            self.norms.record(math.log(norm), math.log(limit))

    # What to do about it

    def _evaluate(self) -> Iterator[Decision]:
        if len(self.norms.latest) >= FIRST:
            yield from self._move_limit()
        middle = self.norms.middle()
        if middle is not None:
            yield from self._move_skip(math.exp(middle + SKIP))

    def _move_limit(self) -> Iterator[Decision]:
        is_new = self.norms.update()
        self.direction = 0 if self.norms.age == 1 else self.direction
        low, high = self._bounds()
        wanted = math.exp(self.norms.wanted())
        value = min(max(wanted, low), high)
        yield from self._warn(wanted)
        if _is_away(value, self._limit(), self._dead_band(value)):
            yield from self._move(value, is_new)

    def _move(self, value: float, is_new: bool) -> Iterable[Decision]:
        """Move the limit. A new regime is not a voluntary change, hence forced; it may not come without end."""
        if self.norms.age > 1:
            self.direction = 1 if value > self._limit() else -1
        self.observed = value
        self.regimes += is_new
        is_forced = is_new and self.regimes <= self.max_adjustments
        return self._set(GRAD_CLIP, value, "new regime" if is_new else "norm statistics", is_forced)

    def _dead_band(self, value: float) -> float:
        """Return the factor by which a limit has to be away: more while little is known, and to turn round."""
        if self.norms.age == 1:
            return self.factor
        is_turn = self.direction * (value - self._limit()) < 0
        return max(self.factor ** (2 if is_turn else 1), math.exp(SURE * self.norms.error()))

    def _move_skip(self, skip: float) -> Iterable[Decision]:
        """Let the skipping follow: it is protection, which stays active when the limit is frozen, hence forced."""
        if not _is_away(skip, self.knobs[GRAD_SKIP].value, self.factor):
            return ()
        return self._set(GRAD_SKIP, skip, "20 times the median norm", is_forced=True)

    def _set(self, knob: str, value: float, reason: str, is_forced: bool) -> Iterable[Decision]:
        """Move a knob, unless the run does not clip."""
        return (SetKnob(knob, value, reason, self._evidence(), is_forced),) if self.is_clipping else ()

    def _bounds(self) -> tuple[float, float]:
        unit = 1.0 if self.is_absolute else math.exp(self.norms.center)
        return self.low * unit, self.high * unit

    def _warn(self, wanted: float) -> Iterator[Decision]:
        """Say once that absolute bounds decide instead of the statistics."""
        if not self.is_absolute or self.has_warned:
            return
        is_bound, evaluations = not self.low <= wanted <= self.high, self.norms.evaluations
        self.bound += is_bound
        if is_bound and evaluations >= BOUND_AFTER and self.bound > BOUND_TOO_OFTEN * evaluations:
            self.has_warned = True
            yield Say(proposal(wanted, self.low, self.high), warn=True)

    def _evidence(self) -> Evidence:
        """Return the median norm and, with its standard error as a share, the limit that the norms ask for."""
        norms = self.norms
        found: dict[str, float] = {"median": math.exp(norms.middle() or 0.0), "threshold": self.factor}
        if norms.evaluations:
            found |= {"estimate": math.exp(norms.wanted()), "se": norms.error(), "window": len(norms.history)}
        return found


def _is_away(new: float, old: float, factor: float) -> bool:
    return new > old * factor or new * factor < old
