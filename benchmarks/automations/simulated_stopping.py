"""Early stopping on simulated runs: dB lost and iterations saved, compared with plain patience on the same curves.

    python -m benchmarks.automations.simulated_stopping [--quick]

Curves are PSNR in dB by iteration without noise, so loss is exact: the best of the whole run minus the best until the
stop. The values that the automation sees have normal noise with an sd between .01 and .08 dB (saturating: up to .03 dB,
where the target is defined). Success of one run, as in the specification:

- improving (a power law that never ends): at most 0.05 dB lost;
- overfitting, at a constant learning rate or under a cosine: stops within 5 effective patiences after the metric's
  peak, and at most 0.05 dB lost;
- saturating: at least 25 % of the iterations saved after 99.9 % of the way is made, and at most 0.05 dB lost;
- milestone, cosine (a gain comes with the lower learning rate): at most 0.1 dB lost.

Without a target and only in the full form, to know the limits: `stalling` (the metric stands still for two to three
patiences, then improves without a change of the learning rate: at most 0.1 dB lost) and `saturating noisy` (noise .03
to .08).
"""

import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.automations.rows import Row, table
from traiNNer.automations.early_stopping import IntelligentEarlyStopping
from traiNNer.engine.control.events import RunStarted, Stop, ValidationFinished
from traiNNer.engine.control.knobs import Knobs
from traiNNer.optim.schedules import CosineAnnealingLR, MultiStepLR, compose

METRIC = "val/psnr"
Curve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """A preset with the run that goes with it."""

    name: str
    total_iter: int
    val_freq: int
    options: dict[str, Any]
    warmup_iter: int
    preset: str

    @property
    def patience(self) -> int:
        """Return the effective patience."""
        return max(self.options["patience"], 5 * self.val_freq)


CONVENIENCE = {"patience": 2000, "min_improvement": 0.001}
FIDELITY = {"patience": 5000, "min_improvement": 0.0005}
SETTINGS = (
    Setting("convenience", 40000, 1000, CONVENIENCE, 1000, "convenience"),
    Setting("fidelity", 80000, 500, FIDELITY, 2000, "fidelity"),
    Setting("convenience for 300,000", 300000, 1000, CONVENIENCE, 1000, "convenience"),
)


@dataclass(frozen=True)
class Simulated:
    """One run: its curve, noise, schedule, and where saturation or overfitting begins."""

    curve: Curve
    noise: float
    onset: float = math.nan
    schedule: Callable[[int], float] = field(default=lambda _: 1.0)


@dataclass(frozen=True)
class Outcome:
    """Where a rule stopped, the dB lost, and the share of the iterations after the onset that it saved."""

    stop: int
    lost: float
    saved: float
    late: float


def improving(rng: np.random.Generator, setting: Setting) -> Simulated:  # noqa: ARG001 - all take the same
    gain, power, scale = rng.uniform(2, 6), rng.uniform(0.2, 0.8), rng.uniform(500, 3000)
    return Simulated(lambda t: 32 - gain * (1 + t / scale) ** -power, _noise(rng))


def saturating(rng: np.random.Generator, setting: Setting) -> Simulated:
    gain, onset = rng.uniform(2, 6), rng.uniform(0.15, 0.45) * setting.total_iter
    rate = math.log(1000) / onset
    return Simulated(lambda t: 32 - gain * np.exp(-rate * t), _noise(rng, 0.03), onset)


def overfitting(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Rise as a power law, then fall by 0.1 to 0.5 dB per patience."""
    rise = improving(rng, setting)
    onset = rng.uniform(0.15, 0.35) * setting.total_iter
    fall = rng.uniform(0.1, 0.5) / setting.patience
    curve = lambda t: rise.curve(np.minimum(t, onset)) - fall * np.maximum(t - onset, 0)  # noqa: E731
    return Simulated(curve, rise.noise, onset)


def overfitting_under_a_cosine(rng: np.random.Generator, setting: Setting) -> Simulated:
    run = overfitting(rng, setting)
    return replace(run, schedule=_warm(CosineAnnealingLR(setting.total_iter, 2e-4), setting))


def saturating_noisy(rng: np.random.Generator, setting: Setting) -> Simulated:
    return replace(saturating(rng, setting), noise=_noise(rng, 0.08, low=0.03))


def stalling(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Stand still for two to three patiences on the way along a power law, before the middle."""
    run = improving(rng, setting)
    first = rng.uniform(0.1, 0.5) * setting.total_iter
    last = first + rng.uniform(2, 3) * setting.patience
    return replace(run, curve=lambda t: run.curve(np.minimum(t, first) + np.maximum(t - last, 0)))


def milestone(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Saturate at the first learning rate; a drop to a half or a tenth then gains 0.1 to 0.5 dB in a few thousand."""
    at = int(rng.uniform(0.5, 0.85) * setting.total_iter)
    gain, scale = rng.uniform(0.1, 0.5), rng.uniform(500, 2000)
    base = saturating(rng, setting).curve
    curve = lambda t: base(t) + gain * (1 - np.exp(-np.maximum(t - at, 0) / scale))  # noqa: E731
    return Simulated(curve, _noise(rng), at, _warm(MultiStepLR((at,), float(rng.choice([0.1, 0.5]))), setting))


def cosine(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Saturate at the first learning rate; 0.1 to 0.8 dB more come in proportion to its decay."""
    schedule = CosineAnnealingLR(setting.total_iter, 2e-4)
    gain, base = rng.uniform(0.1, 0.8), saturating(rng, setting).curve
    fallen = lambda t: (1 - np.cos(np.pi * t / setting.total_iter)) / 2  # noqa: E731
    return Simulated(lambda t: base(t) + gain * fallen(t), _noise(rng), math.nan, _warm(schedule, setting))


def _warm(schedule: Callable[[int], float], setting: Setting) -> Callable[[int], float]:
    return cache(compose(schedule, setting.warmup_iter))


def _noise(rng: np.random.Generator, high: float = 0.08, low: float = 0.01) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


# Rules: each gets the iterations and scores of all validations and returns where it stops.


def automation(setting: Setting, run: Simulated, iterations: np.ndarray, scores: np.ndarray, **changed: Any) -> int:
    """Drive the real automation through its events."""
    watch = IntelligentEarlyStopping(preset=setting.preset, **(setting.options | changed))  # type: ignore[arg-type]
    watch.attach(Knobs())
    started = RunStarted(
        setting.total_iter,
        16,
        warmup_iter=setting.warmup_iter,
        val_freq=setting.val_freq,
        metrics={METRIC: "higher"},
        schedule=run.schedule,
    )
    list(watch.on_start(started))
    for iteration, score in zip(iterations.tolist(), scores.tolist(), strict=True):
        found = watch.on_validation(ValidationFinished(iteration, {METRIC: score}))
        if any(isinstance(decision, Stop) for decision in found):
            return iteration
    return setting.total_iter


def plain(setting: Setting, run: Simulated, iterations: np.ndarray, scores: np.ndarray) -> int:  # noqa: ARG001
    """Stop after the guide's patience without a value above the best by `min_improvement`, from 5000 on."""
    best, since = -math.inf, 0
    for iteration, score in zip(iterations.tolist(), scores.tolist(), strict=True):
        if score > best + setting.options["min_improvement"]:
            best, since = score, iteration
        if iteration - since >= setting.options["patience"] and iteration >= 5000:
            return iteration
    return setting.total_iter


RULES = {"automation": automation, "plain patience": plain}


def outcome(setting: Setting, run: Simulated, stop: int) -> Outcome:
    """Score a stop on the curve without noise."""
    every = np.arange(setting.val_freq, setting.total_iter + 1, setting.val_freq)
    values = run.curve(every.astype(float))
    lost = values.max() - values[: bisect_right(every.tolist(), stop)].max()
    saved = (setting.total_iter - stop) / (setting.total_iter - run.onset)
    return Outcome(stop, float(lost), saved, (stop - run.onset) / setting.patience)


@dataclass(frozen=True)
class Scenario:
    """Curves of one kind, the success criterion, the target, and how to report the savings."""

    make: Callable[[np.random.Generator, Setting], Simulated]
    is_success: Callable[[Outcome], bool]
    target: float | None
    has_onset: bool = False
    settings: tuple[Setting, ...] = SETTINGS[:2]


def _is_cheap(seen: Outcome) -> bool:
    return seen.lost <= 0.05


def _saves(seen: Outcome) -> bool:
    return _is_cheap(seen) and seen.saved >= 0.25


def _is_in_time(seen: Outcome) -> bool:
    return _is_cheap(seen) and seen.late <= 5


def _gets_the_gain(seen: Outcome) -> bool:
    return seen.lost <= 0.1


SCENARIOS = (
    Scenario(improving, _is_cheap, 0.95, settings=SETTINGS),
    Scenario(saturating, _saves, 0.90, has_onset=True),
    Scenario(overfitting, _is_in_time, 0.90, has_onset=True),
    Scenario(milestone, _gets_the_gain, 0.90, settings=SETTINGS),
    Scenario(cosine, _gets_the_gain, 0.90),
    Scenario(overfitting_under_a_cosine, _is_in_time, 0.90, has_onset=True),
    Scenario(saturating_noisy, _saves, None, has_onset=True),
    Scenario(stalling, _gets_the_gain, None),
)


def simulate(setting: Setting, scenario: Scenario, rule: Callable[..., int], runs: int) -> list[Outcome]:
    """Return the outcomes of seeded runs; every rule gets the same ones."""
    found = []
    for seed in range(runs):
        rng = np.random.default_rng([seed, SCENARIOS.index(scenario), SETTINGS.index(setting)])
        run = scenario.make(rng, setting)
        iterations = np.arange(setting.val_freq, setting.total_iter + 1, setting.val_freq)
        scores = run.curve(iterations.astype(float)) + rng.normal(0, run.noise, len(iterations))
        found.append(outcome(setting, run, rule(setting, run, iterations, scores)))
    return found


def note(setting: Setting, scenario: Scenario, seen: list[Outcome]) -> str:
    """Return a short text of loss and savings."""
    lost = np.array([one.lost for one in seen])
    stopped = np.mean([one.stop < setting.total_iter for one in seen])
    text = f"lost p95 {np.quantile(lost, 0.95):.3f} dB, max {lost.max():.3f}; >0.1 dB in {np.mean(lost > 0.1):.0%}"
    text += f"; stopped {stopped:.0%}"
    if scenario.has_onset:
        saved = np.quantile([one.saved for one in seen], [0.1, 0.5])
        text += f"; saved after onset median {saved[1]:.0%}, p10 {saved[0]:.0%}"
    else:
        saved = np.mean([1 - one.stop / setting.total_iter for one in seen])
        text += f"; saved of the run mean {saved:.0%}"
    if scenario.make in (overfitting, overfitting_under_a_cosine):
        late = np.quantile([one.late for one in seen], [0.5, 0.95])
        text += f"; patiences after onset median {late[0]:.1f}, p95 {late[1]:.1f}"
    return text


def run(quick: bool) -> list[Row]:
    """Return one row per preset, rule and scenario, and the mean over the scenarios that have a target."""
    return [row for setting in SETTINGS for rule in RULES for row in compare(setting, rule, quick)]


def compare(setting: Setting, rule: str, quick: bool) -> Iterator[Row]:
    """Yield the rows of one setting and rule."""
    mine, aimed, runs = rule == "automation", [], 100 if quick else 200
    for scenario in SCENARIOS:
        if setting not in scenario.settings or (quick and scenario.target is None):
            continue
        seen = simulate(setting, scenario, RULES[rule], runs)
        good, target = sum(map(scenario.is_success, seen)), scenario.target if mine else None
        name = f"{scenario.make.__name__.replace('_', ' ')}, {setting.name}"
        row = Row("early stopping", name, rule, runs, good, target, note(setting, scenario, seen))
        aimed += [row] if scenario.target else []
        yield row
    total, good = sum(row.runs for row in aimed), sum(row.successes for row in aimed)
    yield Row(
        "early stopping", f"mean of scenarios with a target, {setting.name}", rule, total, good, 0.90 if mine else None
    )


if __name__ == "__main__":
    results = run("--quick" in sys.argv[1:])
    print(table(results))
    sys.exit(not all(row.is_met for row in results))
