"""The automation that moves the gradient limit."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat

from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionWarning, check_order
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Decision, Evidence, KnobChanged, RunStarted, Say, SetKnob, WindowFinished
from traiNNer.engine.control.knobs import GRAD_CLIP, GRAD_SKIP, Range
from traiNNer.registry import AUTOMATIONS, StrictOptions

Count = Annotated[int, Field(ge=1)]
FIRST_SKIP, RECENT, LOOK, MEMORY = 10, 50, 200, 1000
"""Steps needed to skip, to move the limit, and for the share that is clipped; over the last the width is averaged."""
FREE, HELD, SWAMPED = 0.05, 0.2, 0.5
"""Shares of clipped steps: below the first the limit is free to move, above the second it is what holds the run."""
WIDTHS = 2.5 * 1.4826
"""2.5 standard deviations in units of the median absolute deviation."""
PACE = 10 / math.log(1.05)
"""Iterations in which the limit may rise by a factor of e: 5 % in ten."""
SKIP, SKIP_BAND = 20.0, 1.5


class ClippingFallback(StrictOptions):
    """The gradient limit that is active after the automation was disabled."""

    threshold: PositiveFloat | None = None
    """Largest gradient norm after the automation was disabled, by default the limit that the run started with; also
    active when it is switched off with `enabled: false`, where the default is grad_clip_max_norm."""


BY_DEFAULT = ClippingFallback()


@AUTOMATIONS.register(name="AdaptiveGradientClipping")
@dataclass(eq=False)
class AdaptiveGradientClipping(Automation):
    """A gradient limit that follows the statistics where it is not what holds the run.

    The user's limit (`initial_threshold`, else `grad_clip_max_norm`) stays where it clips more than 20 % of the steps:
    there a higher limit is a higher learning rate. Where it clips less than 5 %, the limit becomes exp(median + 2.5
    robust standard deviations) of the log norms: down at once, up by at most one `adjustment_factor` at a time and 5 %
    in ten iterations on average, over the user's where that clips less than 2.5 %. In between it stays, or returns to
    the user's from below. A step that is not finite, or has more than 20 times the median norm, is skipped. Of two
    networks each has a limit by these rules.

    Args:
        initial_threshold: Limit of the user, within the bounds; by default `grad_clip_max_norm`.
        min_threshold: Smallest limit.
        max_threshold: Largest limit.
        threshold_mode: Whether the bounds are gradient norms or multiples of the median norm.
        adjustment_factor: The limit moves only if the wanted one is this many times away, twice as far to turn round.
        monitoring_frequency: Iterations between evaluations; the norm itself is checked every time.
        gradient_history_size: Norms that the median is taken of, at least 200.
        fallback: What is active after the automation was disabled.
        max_adjustments: Changes before the limit is frozen.
    """

    title = "clipping"
    needs = "grad_norm"
    is_per_learner = True

    initial_threshold: PositiveFloat | None = None
    min_threshold: PositiveFloat = 0.1
    max_threshold: PositiveFloat = 10.0
    threshold_mode: Literal["absolute", "relative"] = "absolute"
    adjustment_factor: Annotated[float, Field(gt=1)] = 1.2
    monitoring_frequency: Count = 10
    gradient_history_size: Count = 100
    fallback: ClippingFallback = BY_DEFAULT
    max_adjustments: Count = 100

    def __post_init__(self) -> None:
        self.is_absolute, self.limit = self.threshold_mode == "absolute", self.initial_threshold or 1.0
        self.every = self.monitoring_frequency
        self.is_clipping, self.excluded, self.rest = True, 0.0, 0
        with self.remembering():
            self.history: list[float] = []
            self.width = self.asked = 0.0
            self.evaluations = self.direction = self.rest_until = 0
            self.told: list[str] = []
            self.counts = dict.fromkeys(("applied", "clipped", "exploding", "broken"), 0)

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

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:
        """Return bounds (in absolute mode), start and fallback of the limit, and that nothing is skipped at first."""
        if not run.is_clipping:
            return {}
        limit = self.initial_threshold or self.knobs[GRAD_CLIP].value
        bounds = (self.min_threshold, self.max_threshold) if self.is_absolute else (None, None)
        self.limit = min(max(limit, self.min_threshold), self.max_threshold) if self.is_absolute else limit
        self.excluded = limit if limit != self.limit else 0.0
        clip = Range(*bounds, start=self.limit, fallback=self.fallback.threshold or self.limit)
        return {GRAD_CLIP: clip, GRAD_SKIP: Range(start=math.inf, fallback=math.inf)}

    def on_start(self, run: RunStarted) -> Iterator[Decision]:
        """Learn whether the run clips at all (otherwise only observe); say if the bounds exclude the user's limit."""
        self.is_clipping, self.rest = run.is_clipping, run.memory_of_optimizer
        if self.excluded:
            yield Say(
                f"min_threshold and max_threshold exclude {self.excluded:g}: the limit is {self.limit:g}", warn=True
            )

    def on_window(self, event: WindowFinished) -> Iterator[Decision]:
        """Remember the norms, and every `monitoring_frequency` iterations let the limit follow them."""
        limit = self.knobs[GRAD_CLIP].value if self.is_clipping else self.limit
        self._record(event, limit)
        if event.iteration % self.every or not self.is_clipping:
            return
        if len(self.history) >= FIRST_SKIP:
            yield from self._move_skip()
        if len(self.history) >= RECENT:
            yield from self._evaluate(event.iteration, limit)

    def on_change(self, event: KnobChanged) -> None:
        """Leave the limit alone for a while after another automation took a move back."""
        if event.knob == GRAD_CLIP and event.new != self.asked:
            self.rest_until = event.iteration + self.rest

    def summary(self) -> str:
        """Return the share of steps that were clipped, and how many exploding ones were skipped."""
        applied, clipped, exploding, broken = self.counts.values()
        share = 100 * clipped / max(1, applied)
        if not self.is_clipping:
            return f"observing only (grad_clip is false), {share:.1f} % of steps were above the threshold"
        skipped = f", {exploding} exploding step{'s' * (exploding != 1)} skipped" if exploding else ""
        return f"{share:.1f} % of steps{skipped}{f', {broken} not finite' if broken else ''}"

    def _record(self, event: WindowFinished, limit: float) -> None:
        for step in event.steps:
            norm = step.grad_norm
            if not step.applied:
                self.counts["exploding" if math.isfinite(norm) and math.isfinite(step.loss) else "broken"] += 1
            elif math.isfinite(norm):
                self.counts["applied"] += 1
                self.counts["clipped"] += norm > limit
                self.history += [math.log(norm)] if norm > 0 else []
        del self.history[: -max(self.gradient_history_size, LOOK)]

    def _move_skip(self) -> Iterator[Decision]:
        """Let the skipping follow: it is protection, which stays active when the limit is frozen, hence forced."""
        skip, now = SKIP * math.exp(median(self.history[-RECENT:])), self.knobs[GRAD_SKIP].value
        if not now / SKIP_BAND < skip < now * SKIP_BAND:
            yield SetKnob(GRAD_SKIP, skip, "20 times the median norm", forced=True)

    def _evaluate(self, iteration: int, limit: float) -> Iterator[Decision]:
        share, center = self._share(), median(self.history)
        self._measure_width()
        wanted = math.exp(center + self.width)
        value = self._target(share, limit, wanted, center)
        evidence: Evidence = {"median": math.exp(center), "estimate": wanted, "share": share, "window": LOOK}
        yield from self._tell(share, wanted)
        if share > HELD and value < limit:  # what holds the run is never left loose: hence forced, and at once
            yield self._move(iteration, limit, value, "clipped share", evidence, is_forced=True)
        elif iteration >= self.rest_until and self._is_away(value, limit):
            yield self._move(iteration, limit, min(value, limit * self.adjustment_factor), "norm statistics", evidence)

    def _share(self) -> float:
        """Return the share of the latest steps that the user's limit clips, or would."""
        latest, limit = self.history[-LOOK:], math.log(self.limit)
        return sum(norm > limit for norm in latest) / len(latest)

    def _measure_width(self) -> None:
        """Average the width of few log norms at a time: in many, a shift of the median would look like width."""
        latest = self.history[-RECENT:]
        center = median(latest)
        width = WIDTHS * median([abs(norm - center) for norm in latest])
        self.evaluations += 1
        self.width += (width - self.width) * max(min(1.0, self.every / MEMORY), 1 / self.evaluations)

    def _target(self, share: float, limit: float, wanted: float, center: float) -> float:
        """Return where the limit should be; over the user's only if the share is surely below 5 %."""
        if share > HELD:
            return self.limit
        below = max(limit, self.limit)
        if share >= FREE:
            return below
        unit = 1.0 if self.is_absolute else math.exp(center)
        value = min(max(wanted, self.min_threshold * unit), self.max_threshold * unit)
        return value if share < FREE / 2 and len(self.history) >= LOOK else min(value, below)

    def _is_away(self, value: float, limit: float) -> bool:
        """Whether to move; the way back to the user's limit is gone to its end."""
        is_turn = self.direction * (value - limit) < 0
        band = self.adjustment_factor ** (2 if is_turn else 1) if value != self.limit else 1.0
        return not limit / band <= value <= limit * band

    def _move(
        self, iteration: int, limit: float, value: float, reason: str, evidence: Evidence, is_forced: bool = False
    ) -> SetKnob:
        is_up = value > limit
        self.asked, self.direction = value, 1 if is_up else -1
        self.rest_until = iteration + (math.ceil(PACE * math.log(self.adjustment_factor)) if is_up else 0)
        return SetKnob(GRAD_CLIP, value, reason, evidence, is_forced)

    def _tell(self, share: float, wanted: float) -> Iterator[Decision]:
        """Say once what the limit cannot do."""
        if len(self.history) < LOOK:
            return
        if share > SWAMPED and "rate" not in self.told:
            self.told.append("rate")
            yield Say(
                f"{100 * share:.0f} % of the last {LOOK} steps are clipped at {self.limit:g}: the learning rate, not "
                "the limit, sets how large a step is"
            )
        is_bound = self.is_absolute and share < FREE and wanted * self.adjustment_factor < self.min_threshold
        if is_bound and "bound" not in self.told:
            self.told.append("bound")
            yield Say(
                f"min_threshold = {self.min_threshold:g} keeps the limit from {wanted:.2g}, which the gradient norms "
                f"ask for. Proposal: threshold_mode: relative, or min_threshold: {wanted / 4:.1g}",
                warn=True,
            )
