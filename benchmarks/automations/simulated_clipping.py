"""Simulated evidence for AdaptiveGradientClipping: spikes and a change of regime in lognormal gradient norms.

    python -m benchmarks.automations.simulated_clipping [--quick]

One run: 4000 norms, lognormal (sd of the log 0.51 to 0.57), their median falling to a quarter; 1 % of the steps are
spikes (15 % of these NaN, the others the step's own norm times 30 to 10,000, log-uniform), from step 20 on, as before
nothing is known of the run; between steps 1000 and 3000 all norms become three times as large, or a third. The user's
limit is 1.0. It is free in a step where it clips less than 5 % of such norms, now and 200 steps ago, and holds the run
where it clips more than 20 %. A run is a success when all of this holds:

- no non-finite gradient is applied;
- what is applied of a spike is at most 6 times the true median of its step where the user's limit is free, and at most
  the user's limit elsewhere;
- at most 5 % of the clean steps are cut below what the user's limit leaves of them, or skipped;
- where the user's limit holds the run, nothing above it is applied;
- recovery: of the 500 clean steps that begin 200 after the shift, at most 5 % are cut or skipped like that.

The automation itself runs here; a step is skipped by the rule of `engine.norm_filter`, in plain numbers. The other
rules never see non-finite norms, which by themselves they would let through.
"""

import argparse
import math
import sys
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
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
STEPS, SPIKES, NANS, TARGET = 4000, 40, 6, 0.95
RECOVERY, LOOK = 200, 500
REVERSALS = 4  # the host disables an automation with so many among its last ten adjustments
HIGHEST, CLEAN_SHARE = 6.0, 0.05
USER = 1.0
FREE, HELD = 1.645, 0.842  # standard deviations from the median to the user's limit where it clips 5 %, and 20 %
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
    """The norms of a run, what is true of each step, the steps that are spikes, and the step of the shift."""

    norms: list[float]
    medians: list[float]
    free: list[bool]
    held: list[bool]
    spikes: dict[int, float]
    shift: int


def draw(seed: int, scale: float = 1.0, first: int = 20) -> Norms:
    """Draw a run. The median starts between 0.5 and 1 times `scale`; spikes come from step `first` on."""
    rng = np.random.default_rng(seed)
    place = np.arange(STEPS) / STEPS
    logs = math.log(scale) + rng.uniform(math.log(0.5), 0) - math.log(4) * place ** rng.uniform(0.5, 1)
    shift = int(rng.integers(1000, 3001))
    logs[shift:] += math.log(3) * rng.choice([-1, 1])
    sd = rng.uniform(0.51, 0.57)
    norms = np.exp(logs + rng.normal(0, sd, STEPS))
    free = logs + FREE * sd < math.log(USER)
    held = logs + HELD * sd > math.log(USER)
    for kind in (free, held):
        kind[RECOVERY:] &= kind[:-RECOVERY].copy()
    where = first + rng.choice(STEPS - first, SPIKES, replace=False)
    factors = np.exp(rng.uniform(math.log(30), math.log(1e4), SPIKES))
    factors[:NANS] = math.nan
    norms[where] *= factors
    spikes = dict(zip(where.tolist(), factors.tolist(), strict=True))
    return Norms(norms.tolist(), np.exp(logs).tolist(), free.tolist(), held.tolist(), spikes, shift)


@dataclass
class Verdict:
    """What went wrong in a run, and what was cut."""

    is_finite: bool = True
    worst_spike: float = 0.0
    loosest: float = 0.0
    cut: float = 0.0
    cut_after: float = 0.0

    def faults(self) -> list[str]:
        """Return the failed criteria."""
        found = {
            "non-finite": not self.is_finite,
            "spike": self.worst_spike > 1,
            "clean cut": self.cut > CLEAN_SHARE,
            "loose": self.loosest > USER * 1.01,
            "recovery": self.cut_after > CLEAN_SHARE,
        }
        return [name for name, is_so in found.items() if is_so]


def judge(run: Norms, rule: Rule) -> Verdict:
    """Run a rule on a run."""
    verdict, cut = Verdict(), [False] * STEPS
    for step, (norm, middle, is_free) in enumerate(zip(run.norms, run.medians, run.free, strict=True)):
        applied = rule(norm)
        if step in run.spikes and not math.isnan(applied):
            allowed = HIGHEST * middle if is_free else max(USER, HIGHEST * middle)
            verdict.worst_spike = max(verdict.worst_spike, applied / allowed)
        if run.held[step] and not math.isnan(applied):
            verdict.loosest = max(verdict.loosest, applied)
        verdict.is_finite &= math.isfinite(norm) or math.isnan(applied)
        cut[step] = step not in run.spikes and not applied >= min(norm, USER)
    verdict.cut = sum(cut) / (STEPS - len(run.spikes))
    start = run.shift + RECOVERY
    verdict.cut_after = sum(cut[start : start + LOOK]) / LOOK
    return verdict


def simple_rule(make: Callable[[], Rule]) -> Callable[[], Rule]:
    """Return a maker of the rule, which is spared the steps that are not finite."""

    def build() -> Rule:
        rule = make()
        return lambda norm: rule(norm) if math.isfinite(norm) else math.nan

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
SCALES = {1.0: "held at first, then free", 1 / 8: "free", 8.0: "held"}


def success(name: str, scale: float, make: Callable[[], Rule], runs: int, note: str = "") -> list[Row]:
    """Evaluate a rule on seeded runs; for the automation also how often the host classifies it as oscillating."""
    verdicts, calm, moves = [], 0, []
    for seed in range(runs):
        rule = make()
        verdicts.append(judge(draw(seed, scale), rule))
        if isinstance(rule, Driven):
            calm += rule.reversals() < REVERSALS
            moves.append(sum(decision.knob == GRAD_CLIP for _, decision, _ in rule.made))
    faults = Counter(fault for verdict in verdicts for fault in verdict.faults())
    notes = [note] if note else []
    notes += [f"clean steps cut: {np.mean([verdict.cut for verdict in verdicts]):.1%}"]
    notes += [f"{fault}: {count}" for fault, count in faults.items()]
    notes += [f"moves: median {np.median(moves):.0f}, at most {max(moves)}"] if moves else []
    good = sum(not verdict.faults() for verdict in verdicts)
    scenario = f"spikes and a shift, norms x {scale:g}: {SCALES[scale]}"
    rows = [Row(AUTOMATION, scenario, name, runs, good, TARGET if moves else None, "; ".join(notes))]
    if moves:
        rows.append(Row(AUTOMATION, f"{scenario}: not classified as oscillating", name, runs, calm, TARGET))
    return rows


def long_run(seed: int, is_falling: bool, total: int = 50_000) -> Driven:
    """Run the automation on a healthy run without spikes, whose median falls to a quarter or stays."""
    rng = np.random.default_rng(seed)
    logs = np.full(total, rng.uniform(math.log(0.05), math.log(0.2)))
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
        note = (
            f"moves of grad_clip: median {np.median(moves):.0f}, at most {max(moves)}; of grad_skip: median "
            f"{np.median(skips):.0f}; clean steps skipped: "
            f"{np.mean([run.automation.counts['exploding'] for run in driven]) / 50_000:.4%}"
        )
        good = sum(n <= 100 and each.reversals() < REVERSALS for n, each in zip(moves, driven, strict=True))
        what = f"50,000 healthy steps, median {name}: under 100 moves, not oscillating"
        rows.append(Row(AUTOMATION, what, "relative", runs, good, TARGET, note))
    return rows


def run(quick: bool) -> list[Row]:
    """Return the results of every rule in every scenario."""
    runs = 100 if quick else 200
    rows: list[Row] = []
    for scale in SCALES:
        for name, make in BASELINES.items():
            rows += success(name, scale, simple_rule(make), runs, note=SPARED)
        rows += success("relative", scale, lambda: Driven(AdaptiveGradientClipping(**RELATIVE)), runs)
    return rows + healthy(5 if quick else 100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 runs a scenario instead of 200")
    rows = run(parser.parse_args().quick)
    print(table(rows))
    return int(not all(row.is_met for row in rows))


if __name__ == "__main__":
    sys.exit(main())
