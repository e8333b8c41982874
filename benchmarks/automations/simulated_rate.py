"""Simulated evidence for the learning-rate automation: a loss with a known true curve plus noise.

    python -m benchmarks.automations.simulated_rate [--quick]

The signal is the logarithm of the loss relative to bicubic upscaling; the probe sees it without that noise, crop by
crop: averaged over the last 100 iterations, and for the live weights with swings of their own. A false alarm is a
reduction while the true speed of improvement is at least twice what counts at that time, any rollback and any cut of a
healthy run. Speeds are per patience (P) of 1000 iterations.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

import numpy as np

from benchmarks.automations.rows import Row, table
from traiNNer.automations.learning_rate import IntelligentLearningRateScheduler
from traiNNer.engine.control.events import (
    Decision,
    KeepSnapshot,
    KnobChanged,
    Probe,
    ProbeFinished,
    Rollback,
    RunStarted,
    SetKnob,
    Step,
    WindowFinished,
)
from traiNNer.engine.control.knobs import Knobs

AUTOMATION = "IntelligentLearningRateScheduler"
PATIENCE, TOTAL, BLOCK = 1000, 50_000, 50
PROBE_EVERY, CROPS, SPREAD, SWING = 100, 8, 0.005, (0.1, 0.05)
RISE_ITER, RISE = 200, np.log(1.5)
TARGET = 0.95


class Course(NamedTuple):
    """The true signal by iteration, and where it becomes flat or rises (none: the end)."""

    truth: np.ndarray
    onset: int


@dataclass
class Outcome:
    """What the automation did: iterations of reductions and rewinds."""

    reductions: list[int] = field(default_factory=list)
    rewinds: list[int] = field(default_factory=list)
    factor: float = 1.0


def improving(_: np.random.Generator) -> Course:
    """Return 1 % per patience throughout."""
    return Course(-0.01 * np.arange(TOTAL) / PATIENCE, TOTAL)


def power_law(random: np.random.Generator) -> Course:
    """Return a power-law decay of random height, scale and exponent."""
    height, scale, exponent = random.uniform(0.3, 1.0), random.uniform(500, 2000), random.uniform(0.2, 0.6)
    return Course(height * (1 + np.arange(TOTAL) / scale) ** -exponent, TOTAL)


def plateau(random: np.random.Generator) -> Course:
    """Return 1 % per patience until a random iteration, then nothing."""
    onset = int(random.integers(4_000, 10_000))
    return Course(-0.01 * np.minimum(np.arange(onset + 9 * PATIENCE), onset) / PATIENCE, onset)


def diverging(random: np.random.Generator) -> Course:
    """Return a power law on which the loss rises by half within 200 iterations, and stays there."""
    course, onset = power_law(random).truth[:8_000], int(random.integers(500, 6_000))
    return Course(course + RISE * np.clip((np.arange(len(course)) - onset) / RISE_ITER, 0, 1), onset)


class Driven:
    """Feeds a curve to an automation as the loop would and applies its decisions; a rollback restores the loss."""

    def __init__(self, automation: IntelligentLearningRateScheduler, course: Course, noise: np.ndarray) -> None:
        self.automation, self.noise, self.found = automation, noise, Outcome()
        self.truth, self.saved = course.truth, 0.0
        self.random = np.random.default_rng(len(noise))
        self.at = 0
        run = RunStarted(TOTAL, 8, losses={"l1": 1.0}, average_iter=1.0, has_probe=True)
        automation.attach(Knobs())
        for name, wanted in automation.ranges(run).items():
            automation.knobs[name].configure(wanted)
        self.apply(automation.on_start(run))

    def go(self) -> Outcome:
        """Run through the curve."""
        every = self.automation.every
        for end in range(every, len(self.truth) + 1, every):
            self.at = end
            part = slice(self.at - every, self.at)
            losses = np.exp(self.truth[part] + self.noise[part]).tolist()
            self.apply(
                self.automation.on_window(WindowFinished(self.at, list(map(Step, repeat(True), repeat(1.0), losses))))
            )
            if self.at % PROBE_EVERY == 0:
                self.probe()
        self.found.factor = self.automation.knobs["lr_factor"].value
        return self.found

    def apply(self, decisions: Iterable[Decision]) -> None:
        """Carry out what was decided."""
        for decision in list(decisions):
            match decision:
                case KeepSnapshot():
                    self.saved = self.truth[max(0, self.at - 1)]
                case Probe():
                    self.probe()
                case Rollback():
                    self.found.rewinds.append(self.at)
                    self.truth = np.concatenate([self.truth[: self.at], np.full(len(self.truth) - self.at, self.saved)])
                case SetKnob():
                    self.move(decision)

    def probe(self) -> None:
        """Measure both weights on the crops."""
        since = max([0, self.at - PROBE_EVERY, *self.found.rewinds])  # a rollback restores the average too
        average = self.truth[min(since, self.at - 1) : self.at].mean() if self.at else self.truth[0]
        live = self.truth[max(0, self.at - 1)] + self.random.normal(*SWING)
        errors = [(value + SPREAD * self.random.standard_normal(CROPS)).tolist() for value in (live, average)]
        self.apply(self.automation.on_probe(ProbeFinished(self.at, *errors)))

    def move(self, decision: SetKnob) -> None:
        """Move the factor, and note it."""
        knob = self.automation.knobs[decision.knob]
        old, new = knob.value, knob.clamp(decision.value)
        if abs(new - old) < 0.01 * old:
            return
        knob.set(new, self.at, decision.dip, decision.hold)
        if not decision.forced:
            self.found.reductions.append(self.at)
        self.automation.on_change(KnobChanged(self.at, decision.knob, old, new))


def run_automation(course: Course, noise: np.ndarray, threshold: float) -> Outcome:
    return Driven(IntelligentLearningRateScheduler(improvement_threshold=threshold), course, noise).go()


def run_reduce_on_plateau(course: Course, noise: np.ndarray, threshold: float) -> Outcome:
    """Run torch's rule on the moving average (0.999) of the loss, checked after every block."""
    import torch
    from scipy.signal import lfilter

    loss = np.exp(course.truth + noise[: len(course.truth)])
    average = lfilter([0.001], [1, -0.999], loss, zi=[0.999 * loss[:50].mean()])[0]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=PATIENCE // BLOCK, threshold=threshold, cooldown=PATIENCE // BLOCK // 2
    )
    found, rate = Outcome(), 1.0
    for end in range(BLOCK, len(loss) + 1, BLOCK):
        rule.step(average[end - 1])
        if optimizer.param_groups[0]["lr"] < rate:
            rate = optimizer.param_groups[0]["lr"]
            found.reductions.append(end)
            break
    return found


def run_reference(course: Course, noise: np.ndarray, threshold: float) -> Outcome:
    """Run the rule of an earlier implementation: no loss below the best by `threshold` for a patience."""
    best, last = np.inf, 0
    for at, loss in enumerate(np.exp(course.truth + noise[: len(course.truth)]).tolist()):
        if loss < best - threshold:
            best, last = loss, at
        elif at - last >= PATIENCE:
            return Outcome(reductions=[at])
    return Outcome()


def false_alarms(course: Course, found: Outcome, threshold: float) -> list[int]:
    """Return the reductions made while the true improvement was at least twice the threshold, and every rollback."""
    slope = -np.diff(course.truth, append=course.truth[-1:]) * PATIENCE
    slope[course.onset :] = 0.0

    def counts(at: int) -> float:
        return max(threshold, 0.02 * PATIENCE / max(1, TOTAL - at))

    return [at for at in found.reductions if slope[at - 1] >= 2 * counts(at) * 0.999] + found.rewinds


RULES: dict[str, Callable[[Course, np.ndarray, float], Outcome]] = {
    "this automation": run_automation,
    "ReduceLROnPlateau, average .999": run_reduce_on_plateau,
    "best value": run_reference,
}


def harmless(
    make: Callable, scenario: str, runs: int, deviation: float, threshold: float, length: int = TOTAL
) -> list[Row]:
    """Return how often no rule reduces, or rewinds, in `length` iterations while there is enough to gain."""
    found = {name: [] for name in RULES}
    for course, noise in _courses(make, runs, deviation, length):
        for name, rule in RULES.items():
            outcome = rule(course, noise, threshold)
            found[name].append(not false_alarms(course, outcome, threshold))
    label = f"{scenario}, noise {deviation:g}, threshold {threshold:g}"
    return [
        _row(
            label,
            name,
            good,
            f"false {1 - np.mean(good):.1%}",
        )
        for name, good in found.items()
    ]


def found_in_time(runs: int, deviation: float, threshold: float, is_target: bool = True) -> list[Row]:
    """Return how often a plateau is found within 8 patience of its onset and nothing is reduced before."""
    rows = []
    delays = {name: [] for name in RULES}
    early = dict.fromkeys(RULES, 0)
    for course, noise in _courses(plateau, runs, deviation):
        for name, rule in RULES.items():
            outcome = rule(course, noise, threshold)
            is_early = bool(false_alarms(course, outcome, threshold))
            early[name] += is_early
            later = [at - course.onset for at in outcome.reductions if at > course.onset]
            delays[name].append(np.inf if is_early or not later else later[0] / PATIENCE)
    for name, delay in delays.items():
        known = [value for value in delay if np.isfinite(value)]
        note = f"false {early[name] / runs:.1%}"
        if known:
            delay_p90 = np.quantile(known, 0.9)
            note += f"; found {len(known) / runs:.0%}, delay median {np.median(known):.1f} P, p90 {delay_p90:.1f} P"
        label = f"plateau, noise {deviation:g}, threshold {threshold:g}"
        rows.append(_row(label, name, [value <= 8 for value in delay], note, is_target))
    return rows


def silent(runs: int, deviation: float, threshold: float) -> list[Row]:
    """Return how often nothing is decided before and 8 patience after a plateau that the noise hides."""
    label = f"plateau hidden by noise, noise {deviation:g}, threshold {threshold:g}"
    rows = []
    for name, rule in RULES.items():
        outcomes = [rule(course, noise, threshold) for course, noise in _courses(plateau, runs, deviation)]
        good = [not outcome.reductions and not outcome.rewinds for outcome in outcomes]
        rows.append(_row(label, name, good, f"decided {1 - np.mean(good):.1%}"))
    return rows


def rewound_in_time(runs: int, deviation: float) -> list[Row]:
    """Return how often a divergence is handled by one rollback and a temporary cut of the learning rate, in time."""
    delays, good = [], []
    for course, noise in _courses(diverging, runs, deviation):
        outcome = run_automation(course, noise, 0.001)
        after = [at - course.onset for at in outcome.rewinds]
        is_right = len(after) == 1 and after[0] > 0 and 0 < outcome.factor < 1
        delays.append(after[0] if is_right else np.inf)
        good.append(delays[-1] <= RISE_ITER + PROBE_EVERY)
    known = [delay for delay in delays if np.isfinite(delay)]
    label = f"loss x1.5 in 200 iterations, noise {deviation:g}"
    note = f"one rollback and a temporary cut in {len(known) / runs:.0%}; "
    note += f"iterations from the onset: median {np.median(known):.0f}, p90 {np.quantile(known, 0.9):.0f}"
    return [_row(f"{label}: before a second probe is due", "this automation", good, note)]


def _courses(make: Callable, runs: int, deviation: float, length: int = TOTAL) -> Iterable[tuple[Course, np.ndarray]]:
    for seed in range(runs):
        random = np.random.default_rng([seed, round(1000 * deviation)])
        course = make(random)
        truth = course.truth[:length]
        yield Course(truth, course.onset), deviation * random.standard_normal(len(truth))


def _row(scenario: str, rule: str, good: list[bool], note: str, is_target: bool = True) -> Row:
    target = TARGET if rule == "this automation" and is_target else None
    return Row(AUTOMATION, scenario, rule, len(good), int(sum(good)), target, note)


def run(quick: bool) -> list[Row]:
    """Return the results: 400 runs of each scenario; quick: 100, of which only the first third is run through."""
    runs, length = (100, 16_000) if quick else (400, TOTAL)
    rows = []
    for deviation, threshold in ((0.035, 0.001), (0.10, 0.005), (0.28, 0.001)):
        rows += harmless(improving, "improving 1 %/P", runs, deviation, threshold, length)
        rows += harmless(power_law, "power law", runs, deviation, threshold, length)
        if deviation < 0.2:
            rows += found_in_time(runs, deviation, threshold) + rewound_in_time(runs, deviation)
        else:
            rows += silent(runs, deviation, threshold)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rows = run(parser.parse_args().quick)
    print(table(rows))
    return 0 if all(row.is_met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
