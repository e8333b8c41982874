"""The automation that finds the largest micro-batch that fits the device memory."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from traiNNer.automations.memory_model import Line, fit, halves, reach, split, splits
from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionWarning, check_order
from traiNNer.engine.control.automation import NEVER, Automation
from traiNNer.engine.control.events import (
    Decision,
    Disable,
    Evidence,
    KnobChanged,
    RunStarted,
    Say,
    SetKnob,
    StepFailed,
    WindowFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, LR_BATCH, MICRO_BATCH, Range
from traiNNer.engine.control.slot import reversals
from traiNNer.engine.runtime.memory import Memory
from traiNNer.registry import AUTOMATIONS, StrictOptions

Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]

SETTLING = 10  # iterations after a change in which cuDNN and the compiler try things out
FAILURES, FAILURE_SPAN = 5, 1000
RETRY_WINDOWS = 2
SPILL_PACE, SPILL_FREE, SPILL_AFTER = 1.5, 0.02, 5
PACES = 50
LR_LIMIT = 2.0
COMPILED_CHANGES = 2
GAIN = 1.03
STEP = 1.25  # a growth by less is not taken on the strength of a single size
GAP = 0.01  # share of the device that must be free below the aim for a measurement at half the size to pay
MOVES, REVERSALS = 10, 3
GROW, SHRINK, NO_GAIN = "low VRAM usage", "high VRAM usage", "no gain in images per second"
PROBE, PROBED = "measuring memory per image", "memory per image measured"

Choice = tuple[int, str] | None


class BatchFallback(StrictOptions):
    """The micro-batch that is active after the automation was disabled."""

    batch_size: Count = 8
    """Images per micro-batch."""


_FALLBACK = BatchFallback()


@AUTOMATIONS.register(name="DynamicBatchSizeOptimizer")
@dataclass(eq=False)
class DynamicBatchSizeOptimizer(Automation):
    """Micro-batches that fit the device memory.

    Our own peak is a line over the size of a micro-batch; what others use is added as last seen. A size is predicted to
    fit when both stay below the target minus the margin. With one size observed, a line through the origin bounds the
    peak of every larger size from above; where that leaves no room to grow, half the size is observed first. A step
    that runs out of memory is repeated in halves, and a size that failed is never used again. Learning rates follow the
    batch as in Malladi et al. 2022 (Adam: square root) and Goyal et al. 2017 (SGD: linear).

    Args:
        target_vram_usage: Ceiling of the memory in use, as a share of the device.
        safety_margin: Distance below the ceiling at which growing stops, as a share of the device.
        adjustment_frequency: Iterations between evaluations.
        min_batch_size: Smallest micro-batch.
        max_batch_size: Largest micro-batch.
        vram_history_size: Peaks remembered for each size.
        effective_batch: `preserve` only changes how a batch is split into micro-batches; `grow` may enlarge it.
        lr_scaling: Adapt the learning rate when the effective batch grows.
        fallback: What is active after the automation was disabled.
        max_adjustments: Voluntary changes before the size is frozen.
    """

    title = "batch"
    foreign_names: ClassVar = {
        "DynamicBatchAndPatchSizeOptimizer": (
            "is not part of traiNNer; use DynamicBatchSizeOptimizer (the crop size stays)"
        ),
    }
    stray_options = ("target_vram_usage",)
    answers_out_of_memory = True

    target_vram_usage: Share = 0.85
    safety_margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    adjustment_frequency: Count = 100
    min_batch_size: Count = 1
    max_batch_size: Count = 32
    vram_history_size: Count = 50
    effective_batch: Literal["preserve", "grow"] = "preserve"
    lr_scaling: Literal["auto", "none"] = "auto"
    fallback: BatchFallback = _FALLBACK
    max_adjustments: Count = 20

    def __post_init__(self) -> None:
        self.needs = "memory"
        self.aim = self.target_vram_usage - self.safety_margin
        self.every, self.line = min(self.adjustment_frequency, SETTLING), Line(0.0, 0.0)
        with self.remembering():
            self.peaks: dict[int, list[int]] = {}
            self.total = self.used = self.others = 0
            self.seconds: list[float] = []
            self.paces: list[float] = []
            self.home, self.home_rate = 0, math.nan
            self.is_probing = self.is_on_trial = False
            self.changed, self.due, self.wait = -1, 0, self.adjustment_frequency
            self.ceiling = math.inf
            self.retries = self.rising = self.ooms = self.changes = 0
            self.failures: list[int] = []
            self.moves: list[int] = []

    @classmethod
    def check_options(cls, options: Any, facts: OptionFacts) -> Iterator[OptionProblem | OptionWarning]:
        """Report bounds that are the wrong way round; warn of a batch that is outside them."""
        low, high, size = options.min_batch_size, options.max_batch_size, facts.batch_size
        yield from check_order(options, "min_batch_size", "max_batch_size")
        if facts.is_on and None not in (size, low, high) and low <= high and not low <= size <= high:
            bounds = f"{cls.__name__}'s {low} to {high}"
            yield OptionWarning(f"datasets.train.batch_size_per_gpu = {size} is outside {bounds}: clamped")

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:
        """Return the bounds of the micro-batch and, where the batch may grow, of the loader's batch and its rate."""
        batch, start = run.batch_size, min(run.batch_size, self.max_batch_size)
        if not run.can_split:
            return {MICRO_BATCH: Range(batch, batch, batch, batch)}
        largest = max(self._sizes(run)[-1], start)
        fallback = min(self.fallback.batch_size, start)
        ranges = {MICRO_BATCH: Range(min(self.min_batch_size, start), largest, start, fallback)}
        if self._grows(run):
            ranges[BATCH_SIZE] = Range(batch, largest, fallback=batch)
            ranges[LR_BATCH] = Range(1.0, LR_LIMIT, fallback=1.0)
        return ranges

    def on_start(self, run: RunStarted) -> Iterable[Decision]:
        """Learn the batch size and what the device allows."""
        self.batch, self.sizes, self.grows = run.batch_size, self._sizes(run), self._grows(run)
        self.can_split, self.is_compiled = run.can_split, run.is_compiled
        self.can_look = run.has_memory and run.can_split
        self.power = 1.0 if "sgd" in run.optimizer.lower() else 0.5
        if self.changed < 0:
            # What is seen with smaller crops says nothing about the memory of the largest.
            self.changed = max(run.iteration, run.largest_crops_from)
            self.due, self.home = self.changed + self.adjustment_frequency, self._size(run.iteration)
        if not self.can_look:
            self.needs, self.every = None, NEVER
        return self._limits(run)

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:
        """Note the peak; shrink at once when the device is overcommitted, and evaluate when it is time."""
        memory = event.memory
        if not self.can_look or memory is None or not _is_usable(memory):
            return []
        rising, self.retries = memory.retries > self.retries, memory.retries
        if self.grows and event.batch != self._batch(event.iteration):  # batches of the old size are still on their way
            self.changed, self.due = event.iteration, max(self.due, event.iteration + self.wait)
            return []
        if event.iteration - len(event.steps) < self.changed + SETTLING:
            return []
        self.rising = self.rising + 1 if rising else 0
        size, pace = self._size(event.iteration), event.seconds / self._batch(event.iteration)
        is_spilling = self._is_spilling(pace, memory)
        self._observe(size, event.seconds, pace, memory)
        if self.rising >= RETRY_WINDOWS or is_spilling:
            reason = "driver memory in use" if is_spilling else "repeated allocation retries"
            return self._retreat(event.iteration, reason)
        return self._evaluate(event.iteration, size) if event.iteration >= self.due else []

    def on_failure(self, event: StepFailed) -> Iterable[Decision]:
        """Halve the micro-batch after running out of memory."""
        if event.kind != "out of memory" or not self.can_split:
            return []
        self.ooms += 1
        return self._retreat(event.iteration, "out of memory")

    def on_change(self, event: KnobChanged) -> None:
        """Start to observe anew at the new size."""
        if event.knob in (MICRO_BATCH, BATCH_SIZE):
            self.changed = max(self.changed, event.iteration)
            self.due = self.changed + self.wait
            self.used = self.others = self.rising = 0
            self.seconds = []

    def summary(self) -> str:
        """Return the first and the last split of a batch."""
        batch = int(self.knobs[BATCH_SIZE].value) if self.grows else self.batch
        parts = split(batch, int(self.knobs[MICRO_BATCH].value))
        now = "+".join(map(str, parts)) if len(parts) <= 4 else f"{len(parts)} micro-batches of at most {parts[0]}"
        failed = f" ({self.ooms} out of memory)" if self.ooms else ""
        return f"stayed {now}{failed}" if parts == [self.batch] else f"{self.batch} -> {now}{failed}"

    def _limits(self, run: RunStarted) -> list[Decision]:
        if not run.can_split:
            return [Say(f"nothing is done: a batch must not be split ({run.coupled_by})", warn=True)]
        if not run.has_memory:
            rest = "a step that runs out of memory is still split and repeated"
            return [Say(f"this device does not report its memory; {rest}")]
        if run.is_compiled and self.effective_batch == "grow":
            return [Say("only splits batches: a compiled network keeps its batch size", warn=True)]
        return []

    def _grows(self, run: RunStarted) -> bool:
        is_possible = run.can_split and not run.is_compiled and run.batch_size < self.max_batch_size
        return is_possible and self.effective_batch == "grow"

    def _sizes(self, run: RunStarted) -> list[int]:
        high = min(run.batch_size, self.max_batch_size)
        sizes = (halves if run.is_compiled else splits)(run.batch_size, min(self.min_batch_size, high), high)
        return sizes + list(range(run.batch_size + 1, self.max_batch_size + 1)) if self._grows(run) else sizes

    def _batch(self, iteration: int) -> int:
        return int(self.knobs[BATCH_SIZE].at(iteration)) if self.grows else self.batch

    def _size(self, iteration: int) -> int:
        return split(self._batch(iteration), int(self.knobs[MICRO_BATCH].at(iteration)))[0]

    def _observe(self, size: int, seconds: float, pace: float, memory: Memory) -> None:
        self.peaks[size] = [*self.peaks.get(size, []), memory.reserved][-self.vram_history_size :]
        self.line = fit(self.peaks)
        self.total, self.used = memory.total, max(self.used, memory.used)
        self.others = max(self.others, memory.used - memory.reserved)
        if math.isfinite(pace) and pace > 0:
            self.seconds = [*self.seconds, seconds][-PACES:]
            self.paces = [*self.paces, pace][-PACES:]

    def _is_spilling(self, pace: float, memory: Memory) -> bool:
        """Whether the driver moved memory to the host, which Windows does instead of failing."""
        is_full = memory.total - memory.used < SPILL_FREE * memory.total
        return is_full and len(self.paces) >= SPILL_AFTER and pace > SPILL_PACE * median(self.paces)

    def _evaluate(self, iteration: int, size: int) -> list[Decision]:
        self.due = iteration + self.adjustment_frequency
        is_settled = self.knobs[MICRO_BATCH].is_frozen or self._changes_left() <= 0
        decisions = [] if is_settled else self._improve(iteration, size)
        self.used = self.others = 0
        return decisions

    def _improve(self, iteration: int, size: int) -> list[Decision]:
        chosen = self._choose(size, self._batch(iteration) / median(self.seconds) if self.seconds else math.nan)
        if chosen is None or chosen[0] == self.knobs[MICRO_BATCH].value:  # asked for already, as in shadow mode
            return []
        new, reason = chosen
        self.is_probing = reason == PROBE
        self.is_on_trial = new > max(self.home, self.batch)
        self.moves = [*self.moves, 1 if new > size else -1][-MOVES:]
        self.changes += 1
        self.wait = self.adjustment_frequency
        peaks, used = sum(map(len, self.peaks.values())), self.used / self.total
        evidence = {"estimate": self._usage(new), "observed": used, "window": peaks, "threshold": self.aim}
        return self._move(new, reason, evidence, forced=False)

    def _choose(self, size: int, rate: float) -> Choice:
        """Return the size to take and why; `rate` is in images per second."""
        if chosen := self._shrink(size):
            return chosen
        if self.is_on_trial and size > self.home and rate < GAIN * self.home_rate:
            self.ceiling = min(self.ceiling, self.home + 1)
            return self.home, NO_GAIN
        if self.is_probing and (chosen := self._end_probe(size)):
            return chosen
        self.home, self.home_rate, self.is_on_trial, self.is_probing = size, rate, False, False
        return self._grow(size) or (self._probe(size) if self._changes_left() > 1 else None)

    def _usage(self, size: int) -> float:
        """Return the share of the device expected to be in use at a size."""
        return (self.line.at(size) + self.others) / self.total

    def _fitting(self) -> list[int]:
        """Return the sizes that are predicted to stay below the aim, near enough to what was observed."""
        near = [size for size in self.sizes if size < self.ceiling and size <= reach(list(self.peaks))]
        return [size for size in near if self._usage(size) <= self.aim]

    def _shrink(self, now: int) -> Choice:
        """Return a smaller size when more than the target is in use."""
        smaller = [size for size in self.sizes if size < now]
        if self.used / self.total <= self.target_vram_usage or not smaller:
            return None
        return max((size for size in smaller if self._usage(size) <= self.aim), default=smaller[0]), SHRINK

    def _end_probe(self, now: int) -> Choice:
        """Return where to go from half the size: to a larger one than before, or back."""
        larger = self._fitting() + [self.home] * (self._usage(self.home) <= self.target_vram_usage)
        best = max(larger, default=now)
        return (best, GROW if best > self.home else PROBED) if best > now else None

    def _grow(self, now: int) -> Choice:
        """Return the largest size that fits, unless the size has gone up and down too often.

        The host takes four changes of direction for an automation that does not know what it wants.
        """
        best = max(self._fitting(), default=0)
        is_sure = len(self.peaks) > 1 or best >= min(STEP * now, self.sizes[-1])
        is_calm = reversals([*self.moves[1 - MOVES :], 1]) < REVERSALS
        return (best, GROW) if best >= GAIN * now and is_sure and is_calm else None

    def _probe(self, now: int) -> Choice:
        """Return half the size where only one is known and a larger one may fit."""
        is_open = len(self.peaks) == 1 and any(now < size < self.ceiling for size in self.sizes)
        is_calm = reversals([*self.moves[2 - MOVES :], -1, 1]) < REVERSALS
        smaller = [size for size in self.sizes if size <= now / 2]
        has_room = self.used / self.total < self.aim - GAP
        return (smaller[-1], PROBE) if is_open and is_calm and has_room and smaller else None

    def _changes_left(self) -> int:
        limit = min(self.max_adjustments, COMPILED_CHANGES) if self.is_compiled else self.max_adjustments
        return limit - self.changes

    def _retreat(self, iteration: int, reason: str) -> list[Decision]:
        """Halve the size and never come back to it; be disabled when that happens too often.

        Where nothing was seen yet, take a quarter: what fits is soon known, and then the size grows back.
        """
        size = self._size(iteration)
        parts = 4 if self.can_look and not self.peaks else 2
        new = max(self.min_batch_size, math.ceil(size / parts))
        if new >= size:
            return []
        self.ceiling, self.wait = min(self.ceiling, size), 2 * self.adjustment_frequency
        self.is_probing = self.is_on_trial = False
        # Halving several times in one iteration is one failure.
        recent = [failed for failed in self.failures if iteration - FAILURE_SPAN < failed < iteration]
        self.failures = [*recent, iteration]
        evidence = {"failed": size, "window": FAILURE_SPAN, "estimate": len(self.failures), "threshold": FAILURES}
        if len(self.failures) <= FAILURES:
            return self._move(new, reason, evidence, forced=True)
        survived = max((known for known in self.peaks if known < size), default=new)
        last = self._move(min(survived, self.fallback.batch_size), reason, evidence, forced=True)
        return [*last, Disable(f"ran out of memory in {len(self.failures)} of {FAILURE_SPAN} iterations")]

    def _move(self, size: int, reason: str, evidence: Evidence, forced: bool) -> list[Decision]:
        """Return the move of the micro-batch and, as its companions that do not count, of what follows from it."""
        moves: list[Decision] = [SetKnob(MICRO_BATCH, size, reason, evidence, forced)]
        if not self.grows:
            return moves
        batch = max(size, self.batch)
        if batch != self.knobs[BATCH_SIZE].value:
            moves.append(SetKnob(BATCH_SIZE, batch, reason, evidence, forced=True))
        factor = min((batch / self.batch) ** self.power, LR_LIMIT)
        if self.lr_scaling == "auto" and factor != self.knobs[LR_BATCH].value:
            moves.append(SetKnob(LR_BATCH, factor, "larger batch", evidence, forced=True))
        return moves


def _is_usable(memory: Memory) -> bool:
    return memory.total > 0 and all(map(math.isfinite, (memory.used, memory.reserved)))
