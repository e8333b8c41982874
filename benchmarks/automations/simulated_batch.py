"""DynamicBatchSizeOptimizer on simulated devices: survival of the run and final micro-batch.

    python -m benchmarks.automations.simulated_batch [--quick]

A pair of device and model: 6 to 24 GB, of which other processes (context, desktop) use some; our peak is fixed +
per_image * size, times up to 1 + fragmentation (1 to 8 %) at random in every iteration, kept by the allocator until a
change of the knob empties its cache. In 30 % of the pairs another process takes memory at a random time (at most 90 %
of what is free). Where there are validations, one every 150 iterations takes 0.2 to 1 times all that is free, in halves
where it does not fit; the engine's own accounting (`DeviceMemory`) reads the simulated allocator. A step that needs
more than there is runs out of memory. New loader batches arrive 9 iterations after the request. The time of an
iteration is a constant plus a part that grows with the batch, with 3 % noise.

Success as in the specification: no crash, at most one out of memory, final size at least the oracle's - 1 or usage
between target - margin - one sample and target, at most 20 adjustments. The oracle knows every peak, and chooses among
the sizes that the rule can take: splitting 8 gives 8, 4, 3, 2 or 1. Every rule sees the usage of the whole device; the
host's rules (limits, disabling) apply to our automation only.
"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import median

import numpy as np
import torch

from benchmarks.automations.rows import Row, table
from benchmarks.automations.simulated_device import SimulatedDevice, halved_until_it_fits
from traiNNer.automations.batch_size import SHRINK, DynamicBatchSizeOptimizer
from traiNNer.automations.memory_model import split, splits
from traiNNer.batch import BatchPlan
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import (
    Decision,
    Disable,
    KnobChanged,
    RunStarted,
    SetKnob,
    Step,
    StepFailed,
    WindowFinished,
)
from traiNNer.engine.control.knobs import BATCH_SIZE, MICRO_BATCH, Knobs, Range
from traiNNer.engine.control.slot import reversals
from traiNNer.engine.runtime.memory import DeviceMemory

AUTOMATION = "DynamicBatchSizeOptimizer"
ITERATIONS, WINDOW, VAL_FREQ = 2000, 10, 150
START, LARGEST, TARGET, MARGIN = 8, 32, 0.85, 0.05
GB = 1e9


# Simulated devices


@dataclass(frozen=True)
class Pair:
    """A device and a model, in bytes and seconds."""

    total: float
    others: float
    fixed: float
    per_image: float
    fragmentation: float
    visits: Mapping[int, float]  # memory that another process requests, by iteration
    noise: np.ndarray  # by iteration, 0 to 1: share of the fragmentation
    jitter: np.ndarray  # by iteration, mean 1: of the time
    validations: Mapping[int, float] = field(default_factory=dict)  # memory that they take, by iteration
    idle: float = 0.05
    busy: float = 0.002

    def peak(self, size: int, noise: float = 1.0) -> float:
        """Return the memory that a micro-batch needs."""
        return (self.fixed + self.per_image * size) * (1 + self.fragmentation * noise)

    def fits(self, size: int) -> bool:
        """Whether the size never runs out of memory while others are as at the start."""
        return self.peak(size) + self.others <= self.total

    def seconds(self, batch: int) -> float:
        """Return the time of an iteration without jitter."""
        return self.idle + self.busy * batch


def draw(seed: int) -> Pair:
    """Draw a pair."""
    generator = np.random.default_rng(seed)
    total = generator.uniform(6, 24) * GB
    is_visited = generator.random() < 0.3
    arrives, wanted = int(generator.integers(1, ITERATIONS)), generator.uniform(0.02, 0.2) * total
    return Pair(
        total=total,
        others=generator.uniform(0.3, 1.2) * GB,
        fixed=GB * generator.lognormal(0.0, 0.5),
        per_image=0.35 * GB * generator.lognormal(0.0, 0.6),
        fragmentation=generator.uniform(0.01, 0.08),
        visits={arrives: wanted} if is_visited else {},
        noise=generator.random(ITERATIONS + 1),
        jitter=generator.normal(1.0, 0.03, ITERATIONS + 1),
    )


# The rules compared


class Reference(Automation):
    """A step up below target - margin, a step down above target + margin; running out of memory ends the run."""

    every = WINDOW

    def __init__(self, factor: float) -> None:
        self.factor, self.due, self.used = factor, 100, 0.0

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:  # noqa: ARG002
        """Return the bounds of the search."""
        return {MICRO_BATCH: Range(1, LARGEST, START), BATCH_SIZE: Range(1, LARGEST)}

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:
        """Take the next step when it is time."""
        assert event.memory is not None
        self.used = max(self.used, event.memory.used / event.memory.total)
        if event.iteration < self.due:
            return []
        usage, self.used, self.due = self.used, 0.0, event.iteration + 100
        size = int(self.knobs[BATCH_SIZE].value)
        step = max(1, round(size * self.factor))
        new = size + step if usage < TARGET - MARGIN else size - step if usage > TARGET + MARGIN else size
        return [SetKnob(BATCH_SIZE, new, "usage", forced=True), SetKnob(MICRO_BATCH, new, "usage")]


class Halving(Automation):
    """Half the micro-batch after running out of memory, nothing else."""

    every = WINDOW

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:  # noqa: ARG002
        """Return the bounds of the search."""
        return {MICRO_BATCH: Range(1, START, START)}

    def on_failure(self, event: StepFailed) -> Iterable[Decision]:  # noqa: ARG002
        """Halve."""
        size = split(START, int(self.knobs[MICRO_BATCH].value))[0]
        return [SetKnob(MICRO_BATCH, math.ceil(size / 2), "out of memory", forced=True)] if size > 1 else []


class GrowAndHalve(Halving):
    """Double the batch every 100 iterations until it runs out of memory, then halve: the usual search at the start."""

    def __init__(self) -> None:
        self.due, self.is_done = 100, False

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:  # noqa: ARG002
        """Return the bounds of the search."""
        return {MICRO_BATCH: Range(1, LARGEST, START), BATCH_SIZE: Range(START, LARGEST)}

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:
        """Take the next step when it is time."""
        size = int(self.knobs[MICRO_BATCH].value)
        if event.iteration < self.due or self.is_done or size == LARGEST:
            return []
        self.due = event.iteration + 100
        return [SetKnob(BATCH_SIZE, 2 * size, "doubling", forced=True), SetKnob(MICRO_BATCH, 2 * size, "doubling")]

    def on_failure(self, event: StepFailed) -> Iterable[Decision]:  # noqa: ARG002
        """Halve."""
        self.is_done = True
        size = math.ceil(self.knobs[MICRO_BATCH].value / 2)
        moves = [SetKnob(BATCH_SIZE, max(size, START), "", forced=True), SetKnob(MICRO_BATCH, size, "", forced=True)]
        return moves if size < self.knobs[MICRO_BATCH].value else []


# The run


@dataclass
class Outcome:
    """The outcome of a run."""

    crashed: bool
    failures: int
    adjustments: int
    size: int
    batch: int
    usage: float
    oracle: int
    sample: float
    settled: int
    was_disabled: bool
    shrinks: int

    @property
    def in_band(self) -> bool:
        """Whether the final size is near the oracle or the target usage."""
        return self.size >= self.oracle - 1 or TARGET - MARGIN - self.sample <= self.usage <= TARGET

    @property
    def success(self) -> bool:
        """Whether the run meets every criterion."""
        return not self.crashed and self.failures <= 1 and self.in_band and self.adjustments <= 20


@cache
def largest_part(batch: int, most: int) -> int:
    """Return the largest micro-batch that is computed at once."""
    return split(batch, most)[0]


class Run:
    """A training loop with engine and host behavior, without a network."""

    def __init__(self, pair: Pair, automation: Automation, sizes: list[int]) -> None:
        self.pair, self.sizes = pair, sizes
        self.knobs = Knobs(batch_size=START)
        self.automation: Automation | None = automation
        self.adjustments = self.failures = self.settled = 0
        self.batch, self.asked, self.arriving = START, START, 0
        self.device = SimulatedDevice(pair.total, pair.others)
        self.memory = DeviceMemory(torch.device("cuda", 0), self.device)
        self.shrinks = 0
        self.crashed = self.was_disabled = False
        self.is_hosted = isinstance(automation, DynamicBatchSizeOptimizer)
        self.moves: list[int] = []
        run = RunStarted(total_iter=ITERATIONS, batch_size=START, has_memory=True)
        automation.attach(self.knobs)
        for name, wanted in automation.ranges(run).items():
            self.knobs[name].configure(wanted)
        self.apply(automation.on_start(run), 0)

    def apply(self, decisions: Iterable[Decision], iteration: int) -> None:
        """Apply decisions as the host does."""
        for decision in decisions:
            if isinstance(decision, SetKnob):
                self.move(decision, iteration)
            elif isinstance(decision, Disable):
                self.disable()

    def disable(self) -> None:
        """Disable the automation and move to the fallback."""
        for knob in (MICRO_BATCH, BATCH_SIZE):
            self.knobs[knob].is_disabled = True
        self.automation, self.was_disabled = None, True

    def move(self, decision: SetKnob, iteration: int) -> None:
        """Move a knob, count the adjustment, and notify the automation."""
        knob = self.knobs[decision.knob]
        old, new = knob.value, knob.clamp(decision.value)
        if new == old or (knob.is_frozen and not decision.forced) or self.automation is None:
            return
        knob.set(new, iteration)
        self.settled = iteration
        self.shrinks += decision.reason == SHRINK
        if not decision.forced:
            self.adjustments += 1
            knob.is_frozen = self.is_hosted and self.adjustments >= self.automation.max_adjustments
        if decision.knob == MICRO_BATCH:
            self.memory.release()  # as the host does
            self.memory.read()
        elif decision.knob == BATCH_SIZE:
            self.asked, self.arriving = int(new), iteration + BatchPlan(int(old)).lead
        self.automation.on_change(KnobChanged(iteration, decision.knob, old, new))
        if decision.knob == MICRO_BATCH and not decision.forced:
            self.moves = [*self.moves, 1 if new > old else -1][-10:]
            if self.is_hosted and reversals(self.moves) >= 4:
                self.disable()

    def step(self, iteration: int) -> None:
        """Run one iteration, retried as often as it runs out of memory."""
        pair = self.pair
        if iteration in pair.visits:
            free = pair.total - pair.others - self.device.reserved
            self.device.others = pair.others + min(pair.visits[iteration], 0.9 * max(0.0, free))
        if iteration >= self.arriving:
            self.batch = self.asked
        while True:
            size = largest_part(self.batch, int(self.knobs[MICRO_BATCH].at(iteration)))
            try:
                self.device.use(pair.peak(size, pair.noise[iteration]))
                return
            except torch.OutOfMemoryError:
                self.failures += 1
            before = self.knobs[MICRO_BATCH].at(iteration)
            self.apply(
                self.automation.on_failure(StepFailed(iteration, "out of memory")) if self.automation else [], iteration
            )
            if self.knobs[MICRO_BATCH].at(iteration) >= before:
                self.crashed = True
                return

    def go(self) -> Outcome:
        """Run to the end."""
        steps = [Step(True, 1.0, 1.0)] * WINDOW
        seconds = 0.0
        for iteration in range(1, ITERATIONS + 1):
            self.step(iteration)
            if self.crashed:
                break
            if iteration in self.pair.validations:
                with self.memory.apart():
                    halved_until_it_fits(self.device.use, self.pair.validations[iteration])
            seconds += self.pair.seconds(self.batch) * self.pair.jitter[iteration]
            if iteration % WINDOW == 0 and self.automation:
                changed = iteration - WINDOW < self.arriving <= iteration
                event = WindowFinished(
                    iteration, steps, seconds / WINDOW, self.memory.read(), None if changed else self.batch
                )
                self.apply(self.automation.on_window(event), iteration)
                seconds = 0.0
        return self.outcome()

    def outcome(self) -> Outcome:
        """Compare the final size with the oracle's."""
        pair, size = self.pair, largest_part(self.asked, int(self.knobs[MICRO_BATCH].at(ITERATIONS)))
        others = self.device.others
        fitting = [other for other in self.sizes if others + pair.peak(other) <= TARGET * pair.total]
        return Outcome(
            self.crashed,
            self.failures,
            self.adjustments,
            0 if self.crashed else size,
            self.asked,
            (others + pair.peak(size)) / pair.total,
            max(fitting, default=min(self.sizes)),
            pair.per_image * (1 + pair.fragmentation) / pair.total,
            self.settled,
            self.was_disabled,
            self.shrinks,
        )


PRESERVED = splits(START, 1, START)
GROWN = PRESERVED + list(range(START + 1, LARGEST + 1))
ANY = list(range(1, LARGEST + 1))
# Factory, possible sizes, whether there is a target.
RULES: dict[str, tuple[Callable[[], Automation], list[int], bool]] = {
    "reference-like, +-1": (lambda: Reference(0.0), ANY, False),
    "reference-like, +-25 %": (lambda: Reference(0.25), ANY, False),
    "halve on out of memory": (Halving, GROWN, False),
    "double, then halve": (GrowAndHalve, GROWN, False),
    "ours, preserve": (DynamicBatchSizeOptimizer, PRESERVED, True),
    "ours, grow": (lambda: DynamicBatchSizeOptimizer(effective_batch="grow"), GROWN, True),
}


SCENARIOS = ["all pairs", "start fits", "start does not fit"]


def note(outcomes: list[Outcome]) -> str:
    """Return the details of a success rate."""
    share = [outcome.size / outcome.oracle for outcome in outcomes]
    count = len(outcomes)
    return (
        f"crashes {sum(o.crashed for o in outcomes)}, any OOM {sum(o.failures > 0 for o in outcomes) / count:.1%}, "
        f"two or more {sum(o.failures > 1 for o in outcomes) / count:.1%}, "
        f"in band {sum(o.in_band and not o.crashed for o in outcomes) / count:.1%}, "
        f"size/oracle {median(share):.2f} (p5 {np.quantile(share, 0.05):.2f}), "
        f"adjustments {median(o.adjustments for o in outcomes):g} (max {max(o.adjustments for o in outcomes)}), "
        f"last change at {median(o.settled for o in outcomes):g}, disabled {sum(o.was_disabled for o in outcomes)}"
    )


def rate(scenario: str, rule: str, outcomes: list[Outcome]) -> Row:
    """Return the success rate of a rule."""
    target = 0.97 if RULES[rule][2] else None
    return Row(AUTOMATION, scenario, rule, len(outcomes), sum(o.success for o in outcomes), target, note(outcomes))


def compare(pairs: list[Pair], tight: list[Pair]) -> list[Row]:
    """Return the success rates of every rule on all pairs, where the start fits, and where it does not.

    Few starts do not fit, so more of them are drawn as `tight`.
    """
    rows = []
    for rule, (build, sizes, _) in RULES.items():
        drawn = [Run(pair, build(), sizes).go() for pair in pairs]
        fitting = [outcome for pair, outcome in zip(pairs, drawn, strict=True) if pair.fits(START)]
        rows.append(rate("all pairs", rule, drawn))
        rows.append(rate("start fits", rule, fitting))
        rows.append(rate("start does not fit", rule, [Run(pair, build(), sizes).go() for pair in tight]))
    return sorted(rows, key=lambda row: SCENARIOS.index(row.scenario))


def not_faster(pairs: list[Pair]) -> Row:
    """Return the success rate on devices that 8 images already saturate: the batch must stay or return."""
    slow = [replace(pair, idle=0.0, busy=0.01) for pair in pairs]
    outcomes = [Run(pair, RULES["ours, grow"][0](), GROWN).go() for pair in slow]
    good = sum(o.batch == START and not o.crashed and o.failures <= 1 for o in outcomes)
    return Row(AUTOMATION, "larger batch not faster: back at 8", "ours, grow", len(slow), good, 0.97, note(outcomes))


def unsteady(pairs: list[Pair]) -> Row:
    """Return how often the size settles in the second half, beside a process that comes and goes."""
    visited = [
        replace(pair, visits={at: (at // 150 % 2) * 0.15 * pair.total for at in range(150, ITERATIONS, 150)})
        for pair in pairs
    ]
    outcomes = [Run(pair, RULES["ours, grow"][0](), GROWN).go() for pair in visited]
    good = sum(o.failures <= 1 and not o.was_disabled and o.settled <= ITERATIONS // 2 for o in outcomes)
    return Row(
        AUTOMATION, "other process comes and goes: size settles", "ours, grow", len(visited), good, 0.97, note(outcomes)
    )


def validated(pair: Pair, seed: int) -> Pair:
    """Return the pair with validations of whole images, which nearly fill the device."""
    shares = np.random.default_rng([seed, 1]).uniform(0.2, 1.0, ITERATIONS // VAL_FREQ)
    room = pair.total - pair.others
    return replace(pair, validations={VAL_FREQ * (at + 1): share * room for at, share in enumerate(shares)})


def validations_take_nothing(pairs: list[Pair]) -> list[Row]:
    """Return how often a run with validations ends without a crash, and shrinks no more often than without."""
    rows = []
    for rule in ("ours, preserve", "ours, grow"):
        build, sizes, _ = RULES[rule]
        without = [Run(pair, build(), sizes).go() for pair in pairs]
        beside = [Run(validated(pair, seed), build(), sizes).go() for seed, pair in enumerate(pairs)]
        good = sum(
            not b.crashed and b.shrinks <= a.shrinks and b.size >= min(a.size, b.oracle)
            for a, b in zip(without, beside, strict=True)
        )
        rows.append(Row(AUTOMATION, "validations never shrink the batch", rule, len(pairs), good, 1.0, note(beside)))
    return rows


def run(quick: bool) -> list[Row]:
    """Return the rates of every rule where the start fits and where it does not, and three tests of stability."""
    pairs = [draw(seed) for seed in range(200 if quick else 1000)]
    few = [pair for pair in pairs if pair.fits(START)][: 100 if quick else 500]
    tight = [pair for pair in map(draw, range(1000, 5000)) if not pair.fits(START)][: 50 if quick else 120]
    return [*compare(pairs, tight), not_faster(few), unsteady(few), *validations_take_nothing(pairs)]


def main() -> int:
    """Print the table; 1 when a target is missed."""
    rows = run("--quick" in sys.argv)
    print(table(rows))
    return int(not all(row.is_met for row in rows))


if __name__ == "__main__":
    sys.exit(main())
