"""Simulated evidence for AdaptiveGradientClipping: spikes and a change of regime in lognormal gradient norms.

    python -m benchmarks.automations.simulated_clipping [--quick]

One run: 4000 norms, lognormal (sd of the log 0.51 to 0.57), their median falling to a quarter; 12 spikes anywhere
(one infinite, one NaN, the others the step's own norm times 20 to 10,000, log-uniform); between steps 1000 and 3000 all
norms become three times as large, or a third. A run is a success when all of this holds:

- no non-finite gradient is applied;
- what is applied of a spike is at most 6 times the true median of its step;
- at most 5 % of the clean steps are clipped or skipped;
- recovery: 200 steps after the shift a gradient of 1000 times the true median would be let through with at most 6
  times the median, and of the 500 clean steps from there on at most 5 % are clipped or skipped.

The automation itself runs here; a step is skipped by the rule of `engine.norm_filter`, in plain numbers. The other
rules never see non-finite norms, which by themselves they would let through.
"""

import argparse
import math
import sys
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.automations.rows import Row, table
from traiNNer.automations.gradient_clipping import AdaptiveGradientClipping
from traiNNer.engine.control.events import Decision, KnobChanged, RunStarted, Say, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import GRAD_CLIP, GRAD_SKIP, Knobs
from traiNNer.engine.norm_filter import IN_A_ROW

AUTOMATION = "AdaptiveGradientClipping"
STEPS, SPIKES, TARGET = 4000, 12, 0.95
RECOVERY, LOOK = 200, 500
REVERSALS = 4  # the host disables an automation with so many among its last ten adjustments
HIGHEST, CLEAN_SHARE = 6.0, 0.05
Rule = Callable[[float], float]
"""A rule of clipping: the norm of a step to the norm that is applied, not a number where the step is skipped."""


# The automation, as the host and the engine would run it


class FloatNormFilter:
    """`NormFilter` in plain numbers, a hundred times as fast; a test compares the two."""

    def __init__(self) -> None:
        self.streak = 0

    def accepts(self, norm: float, limit: float) -> bool:
        """Return whether to make the step."""
        if not math.isfinite(norm):
            return False
        if math.isinf(limit):
            return True
        is_large = norm > limit
        is_exploding = is_large and self.streak < IN_A_ROW
        self.streak = self.streak + is_exploding if is_large else 0
        return not is_exploding


@dataclass
class Driven:
    """The automation in a run: one call is one step."""

    automation: AdaptiveGradientClipping
    total: int = STEPS
    iteration: int = 0
    norm_filter: FloatNormFilter = field(default_factory=FloatNormFilter)
    made: list[tuple[int, SetKnob, float]] = field(default_factory=list)
    said: list[Say] = field(default_factory=list)
    window: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.knobs = Knobs(grad_clip=1.0)
        self.automation.attach(self.knobs)
        run = RunStarted(total_iter=self.total, batch_size=8)
        for name, wanted in self.automation.ranges(run).items():
            self.knobs[name].configure(wanted)
        self._apply(self.automation.on_start(run))

    def __call__(self, norm: float) -> float:
        """Return what is applied of a step."""
        self.iteration += 1
        clip = self.knobs[GRAD_CLIP].at()
        is_applied = self.norm_filter.accepts(norm, self.knobs[GRAD_SKIP].at())
        self.window.append(Step(is_applied, norm, 0.1))
        if self.iteration % self.automation.every == 0:
            steps, self.window = self.window, []
            self._apply(self.automation.on_window(WindowFinished(self.iteration, steps)))
        return min(norm, clip) if is_applied else math.nan

    def adjustments(self) -> list[SetKnob]:
        """Return the moves that the host counts."""
        return [move for _, move, _ in self.made if not move.forced]

    def reversals(self, among: int = 10) -> int:
        """Return the largest number of direction changes within a window of adjustments, as the host counts them."""
        ways = [move.value > old for _, move, old in self.made if not move.forced]
        turns = [a != b for a, b in pairwise(ways)]
        return max((sum(turns[i : i + among - 1]) for i in range(len(turns))), default=0)

    def _apply(self, decisions: Iterable[Decision]) -> None:
        for decision in list(decisions):
            if isinstance(decision, SetKnob):
                self._set(decision)
            elif isinstance(decision, Say):
                self.said.append(decision)

    def _set(self, decision: SetKnob) -> None:
        knob = self.knobs[decision.knob]
        old, new = knob.value, knob.clamp(decision.value)
        if new == old or (math.isfinite(old) and abs(new / old - 1) <= 0.01):
            return
        knob.set(decision.value, self.iteration)
        self.made.append((self.iteration, decision, old))
        self.automation.on_change(KnobChanged(self.iteration, decision.knob, old, new))


# The other rules


class Fixed:
    """One limit for the whole run."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, norm: float) -> float:
        """Return what is applied of a step."""
        return min(norm, self.limit)


class AutoClip:
    """A percentile of all norms until now (Seetharaman et al., "AutoClip", 2020)."""

    def __init__(self, percentile: float) -> None:
        self.share, self.norms = percentile / 100, list[float]()

    def __call__(self, norm: float) -> float:
        """Return what is applied of a step."""
        insort(self.norms, norm)
        place = self.share * (len(self.norms) - 1)
        low = self.norms[int(place)]
        high = self.norms[min(int(place) + 1, len(self.norms) - 1)]
        return min(norm, low + (high - low) * (place % 1))


class ZClip:
    """Mean and variance as moving averages of the clipped norms (Kumar et al., "ZClip", 2025, adaptive scaling)."""

    def __init__(self, max_norm: float = math.inf, z: float = 2.5, decay: float = 0.97, warmup: int = 25) -> None:
        self.max_norm, self.z, self.decay, self.warmup = max_norm, z, decay, warmup
        self.first: list[float] = []
        self.mean = self.variance = 0.0

    def __call__(self, norm: float) -> float:
        """Return what is applied of a step."""
        if len(self.first) < self.warmup:
            self.first.append(norm)
            self.mean, self.variance = float(np.mean(self.first)), float(np.var(self.first))
            return min(norm, self.max_norm)
        spread = math.sqrt(self.variance)
        score = (norm - self.mean) / (spread + 1e-6)
        let_through = self.mean + self.z * spread * self.z / score if score > self.z else norm
        self.mean = self.decay * self.mean + (1 - self.decay) * let_through
        self.variance = self.decay * self.variance + (1 - self.decay) * (let_through - self.mean) ** 2
        return min(let_through, self.max_norm)


# A run and its verdict


@dataclass(frozen=True)
class Norms:
    """The norms of a run, the true median of each step, the steps that are spikes, and the step of the shift."""

    norms: list[float]
    medians: list[float]
    spikes: dict[int, float]
    shift: int


def draw(seed: int, scale: float = 1.0, first: int = 0) -> Norms:
    """Draw a run. The median starts between 0.5 and 1 times `scale`; spikes come from step `first` on."""
    rng = np.random.default_rng(seed)
    place = np.arange(STEPS) / STEPS
    logs = math.log(scale) + rng.uniform(math.log(0.5), 0) - math.log(4) * place ** rng.uniform(0.5, 1)
    shift = int(rng.integers(1000, 3001))
    logs[shift:] += math.log(3) * rng.choice([-1, 1])
    norms = np.exp(logs + rng.normal(0, rng.uniform(0.51, 0.57), STEPS))
    where = first + rng.choice(STEPS - first, SPIKES, replace=False)
    factors = np.exp(rng.uniform(math.log(20), math.log(1e4), SPIKES))
    factors[:2] = math.inf, math.nan
    norms[where] *= factors
    return Norms(norms.tolist(), np.exp(logs).tolist(), dict(zip(where.tolist(), factors.tolist(), strict=True)), shift)


@dataclass
class Verdict:
    """What went wrong in a run, and what was clipped."""

    is_finite: bool = True
    worst_spike: float = 0.0
    clipped: float = 0.0
    clipped_after: float = 0.0
    let_through_after: float = 0.0

    def faults(self, share_after: float = CLEAN_SHARE) -> list[str]:
        """Return the failed criteria; `share_after` of the clean steps may be clipped after the recovery."""
        found = {
            "non-finite": not self.is_finite,
            "spike": self.worst_spike > HIGHEST,
            "clean clipped": self.clipped > CLEAN_SHARE,
            "recovery": self.clipped_after > share_after or self.let_through_after > HIGHEST,
        }
        return [name for name, is_so in found.items() if is_so]


def judge(run: Norms, rule: Rule, probe: Callable[[float], float]) -> Verdict:
    """Run a rule on a run. `probe` returns what the rule would let through of a norm at that moment."""
    verdict, touched = Verdict(), [False] * STEPS
    for step, (norm, middle) in enumerate(zip(run.norms, run.medians, strict=True)):
        if step == run.shift + RECOVERY:
            verdict.let_through_after = probe(1000 * middle) / middle
        applied = rule(norm)
        if step in run.spikes and not math.isnan(applied):
            verdict.worst_spike = max(verdict.worst_spike, applied / middle)
        verdict.is_finite &= math.isfinite(norm) or math.isnan(applied)
        touched[step] = step not in run.spikes and applied != norm
    clean = STEPS - len(run.spikes)
    verdict.clipped = sum(touched) / clean
    start = run.shift + RECOVERY
    verdict.clipped_after = sum(touched[start : start + LOOK]) / LOOK
    return verdict


def automation_rule(**options) -> tuple[Rule, Callable[[float], float]]:
    """Return the automation and its limit as the probe: skipping is not to hide a limit too high."""
    driven = Driven(AdaptiveGradientClipping(**options))
    return driven, lambda norm: min(norm, driven.knobs[GRAD_CLIP].at())


def simple_rule(make: Callable[[], Rule]) -> Callable[[], tuple[Rule, Callable[[float], float]]]:
    """Return a maker of the rule and of its probe, which asks a copy."""

    def build() -> tuple[Rule, Callable[[float], float]]:
        rule = make()

        def probe(norm: float) -> float:
            return deepcopy(rule)(norm)

        return (lambda norm: rule(norm) if math.isfinite(norm) else math.nan), probe

    return build


SPARED = "non-finite steps skipped for it"
BASELINES: dict[str, Callable[[], Rule]] = {
    "fixed 1.0": lambda: Fixed(1.0),
    "AutoClip p10": lambda: AutoClip(10),
    "AutoClip p90": lambda: AutoClip(90),
    "ZClip z 2.5": ZClip,
    "ZClip z 2.5, max_norm 1.0": lambda: ZClip(max_norm=1.0),
}
RELATIVE = {"threshold_mode": "relative"}
OURS: tuple[tuple[str, float, dict, float | None], ...] = (
    ("absolute", 1.0, {}, TARGET),
    ("relative", 1.0, RELATIVE, TARGET),
    ("relative", 1 / 8, RELATIVE, TARGET),
    ("relative", 8.0, RELATIVE, TARGET),
    ("absolute", 8.0, {}, None),
)


def scenario(scale: float) -> str:
    return f"spikes and a shift, norms x {scale:g}"


def success(name: str, scale: float, make, runs: int, target: float | None = None, note: str = "") -> list[Row]:
    """Evaluate a rule on seeded runs; for the automation also how often the host classifies it as oscillating."""
    verdicts, calm, moves = [], 0, []
    for seed in range(runs):
        rule, probe = make()
        verdicts.append(judge(draw(seed, scale), rule, probe))
        if isinstance(rule, Driven):
            calm += rule.reversals() < REVERSALS
            moves.append(sum(decision.knob == GRAD_CLIP for _, decision, _ in rule.made))
    faults = Counter(fault for verdict in verdicts for fault in verdict.faults())
    notes = [note] if note else []
    notes += [f"clean steps clipped: {np.mean([verdict.clipped for verdict in verdicts]):.1%}"]
    notes += [f"{fault}: {count}" for fault, count in faults.items()]
    notes += [f"success if 10 % may be clipped after the shift: {sum(not v.faults(0.1) for v in verdicts) / runs:.1%}"]
    notes += [f"moves: median {np.median(moves):.0f}, at most {max(moves)}"] if moves else []
    good = sum(not verdict.faults() for verdict in verdicts)
    rows = [Row(AUTOMATION, scenario(scale), name, runs, good, target, "; ".join(notes))]
    if moves:
        rows.append(Row(AUTOMATION, f"{scenario(scale)}: not classified as oscillating", name, runs, calm, target))
    return rows


def long_run(seed: int, is_falling: bool, total: int = 50_000) -> Driven:
    """Run the automation on a healthy run without spikes, whose median falls to a quarter or stays."""
    rng = np.random.default_rng(seed)
    logs = np.full(total, rng.uniform(math.log(0.5), 0))
    if is_falling:
        # Fast at first: to a quarter after 4000 steps, and on.
        logs -= math.log(4) * np.log1p(np.arange(total) / 200) / math.log1p(STEPS / 200)
    driven = Driven(AdaptiveGradientClipping(**RELATIVE), total)
    for norm in np.exp(logs + rng.normal(0, rng.uniform(0.51, 0.57), total)).tolist():
        driven(norm)
    return driven


def healthy(runs: int) -> list[Row]:
    """Count adjustments and reversals in healthy long runs: false alarms of the host's rules."""
    rows = []
    for name in ("falling", "flat"):
        driven = [long_run(seed, name == "falling") for seed in range(runs)]
        moves = [sum(decision.knob == GRAD_CLIP for _, decision, _ in run.made) for run in driven]
        skips = [sum(decision.knob == GRAD_SKIP for _, decision, _ in run.made) for run in driven]
        jumps = sum(decision.reason == "new regime" for run in driven for _, decision, _ in run.made)
        note = (
            f"moves of grad_clip: median {np.median(moves):.0f}, at most {max(moves)}; of grad_skip: median "
            f"{np.median(skips):.0f}; false new regimes: {jumps}; clean steps skipped: "
            f"{np.mean([run.automation.exploded for run in driven]) / 50_000:.4%}"
        )
        good = sum(n <= 100 and each.reversals() < REVERSALS for n, each in zip(moves, driven, strict=True))
        what = f"50,000 healthy steps, median {name}: under 100 moves, not oscillating"
        rows.append(Row(AUTOMATION, what, "relative", runs, good, TARGET, note))
    return rows


def run(quick: bool) -> list[Row]:
    """Return the results of every rule in every scenario."""
    runs = 100 if quick else 200
    rows: list[Row] = []
    for name, make in BASELINES.items():
        rows += success(name, 1.0, simple_rule(make), runs, note=SPARED)
    for name, scale, options, target in OURS:
        rows += success(name, scale, partial(automation_rule, **options), runs, target)
    return rows + healthy(5 if quick else 100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 runs a scenario instead of 200")
    rows = run(parser.parse_args().quick)
    print(table(rows))
    return int(not all(row.is_met for row in rows))


if __name__ == "__main__":
    sys.exit(main())
