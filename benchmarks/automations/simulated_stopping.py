"""Early stopping on simulated runs: dB lost and iterations saved, compared with plain patience on the same curves.

    python -m benchmarks.automations.simulated_stopping [--quick]

The settings are the shipped ones: the guide's file and the two presets, and one long run; without a schedule the rate
is constant and falls linearly to zero over the last 30 %. Curves are PSNR in dB by iteration without noise, so loss is
exact: the best of the whole run minus the best until the stop. The values that the automation sees have normal noise
with an sd between .005 and .04 dB (flat: up to .02 dB). Live weights are up to 1 dB worse than their average, in
proportion to the rate, and its fall gives up to 0.3 of that beyond the average. Success of one run:

- improving (a power law that never ends, and the annealing): at most 0.05 dB lost;
- flat: has stood still from 20 % of the run on, annealing gives nothing; stops by 60 %; also under a cosine;
- overfitting, also under a cosine: stops within 2 effective patiences after the metric's peak, at most 0.05 dB lost;
- annealing (flat, but the fall of the rate gives 0.1 to 0.3 dB): at most 0.1 dB lost;
- milestone, cosine (a gain comes with the lower learning rate): at most 0.1 dB lost.

Without a target and only in the full form, to know the limits: `stalling` (the metric stands still for two to three
patiences, then improves without a change of the learning rate: at most 0.1 dB lost) and `flat noisy` (noise .02 to
.08).
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
from traiNNer.engine.control.events import ProbeFinished, RunStarted, Stop, ValidationFinished
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.control.prediction import LOG_TO_DB
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


GUIDE = {
    "patience": 2000,
    "min_improvement": 0.001,
    "min_epochs": 1000,
    "min_iterations": 5000,
    "max_no_improvement": 2000,
    "improvement_threshold": 0.002,
    "warmup_iterations": 1000,
}
CONVENIENCE = {"patience": 2000, "min_improvement": 0.001}
FIDELITY = {"patience": 5000, "min_improvement": 0.0005}
SETTINGS = (
    Setting("guide", 50000, 1000, GUIDE, 0, "convenience"),
    Setting("convenience", 40000, 1000, CONVENIENCE, 1000, "convenience"),
    Setting("fidelity", 80000, 500, FIDELITY, 2000, "fidelity"),
    Setting("convenience for 300,000", 300000, 1000, CONVENIENCE, 1000, "convenience"),
)


@dataclass(frozen=True)
class Simulated:
    """One run: its curve, noise, schedule, and where saturation or overfitting begins.

    `gap` is what live weights are worse than their average at the highest rate, in dB; `learning` the gain in dB of
    the training crops by iteration, None where they gain what the metric gains.
    """

    curve: Curve
    noise: float
    onset: float = math.nan
    schedule: Callable[[int], float] = field(default=lambda _: 1.0)
    gap: float = 0.0
    learning: Curve | None = None


@dataclass(frozen=True)
class Outcome:
    """Where a rule stopped, the dB lost, and the share of the run that it saved."""

    stop: int
    lost: float
    saved: float
    late: float


def improving(rng: np.random.Generator, setting: Setting) -> Simulated:
    return annealed(rng, setting, power_law(rng), rng.uniform(0, 1), rng.uniform(0, 0.3))


def power_law(rng: np.random.Generator) -> Simulated:
    gain, power, scale = rng.uniform(2, 6), rng.uniform(0.2, 0.8), rng.uniform(500, 3000)
    return Simulated(lambda t: 32 - gain * (1 + t / scale) ** -power, _noise(rng))


def annealed(rng: np.random.Generator, setting: Setting, run: Simulated, gap: float, share: float) -> Simulated:  # noqa: ARG001 - all take the same
    """End a run with a linear fall of the rate, which gives a share of the gap."""
    begin, total = 0.7 * setting.total_iter, setting.total_iter
    fallen = lambda t: np.clip((t - begin) / (total - begin), 0, 1)  # noqa: E731
    schedule = _warm(lambda at: 1 - float(fallen(at)), setting)
    return replace(run, curve=lambda t: run.curve(t) + gap * share * fallen(t), gap=gap, schedule=schedule)


def saturated(rng: np.random.Generator, setting: Setting, noise: float = 0.02, low: float = 0.005) -> Simulated:
    """Make 99.9 % of the way in the first 20 % of the run."""
    gain, onset = rng.uniform(2, 6), 0.2 * setting.total_iter
    rate = math.log(1000) / onset
    return Simulated(lambda t: 32 - gain * np.exp(-rate * t), _noise(rng, noise, low), onset)


def flat(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Nothing is left to gain: what annealing gives is well below the least gain that a run goes on for."""
    return annealed(rng, setting, saturated(rng, setting), rng.uniform(0, 0.05), 0.1)


def flat_noisy(rng: np.random.Generator, setting: Setting) -> Simulated:
    return annealed(rng, setting, saturated(rng, setting, 0.08, 0.02), rng.uniform(0, 0.2), 0.1)


def flat_under_a_cosine(rng: np.random.Generator, setting: Setting) -> Simulated:
    return replace(flat(rng, setting), schedule=_warm(CosineAnnealingLR(setting.total_iter, 2e-4), setting))


def annealing(rng: np.random.Generator, setting: Setting) -> Simulated:
    gain, share = rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3)
    return annealed(rng, setting, saturated(rng, setting), gain / share, share)


def overfitting(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Rise as a power law, then fall by 0.1 to 0.5 dB per patience while the training crops gain as much."""
    rise = power_law(rng)
    onset = rng.uniform(0.15, 0.35) * setting.total_iter
    speed = rng.uniform(0.1, 0.5) / setting.patience
    curve = lambda t: rise.curve(np.minimum(t, onset)) - speed * np.maximum(t - onset, 0)  # noqa: E731
    learning = lambda t: rise.curve(t) + speed * np.maximum(t - onset, 0)  # noqa: E731
    run = Simulated(curve, rise.noise, onset, learning=learning)
    return annealed(rng, setting, run, rng.uniform(0, 1), 0.0)


def overfitting_under_a_cosine(rng: np.random.Generator, setting: Setting) -> Simulated:
    run = overfitting(rng, setting)
    return replace(run, schedule=_warm(CosineAnnealingLR(setting.total_iter, 2e-4), setting))


def stalling(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Stand still for two to three patiences on the way along a power law, before the middle."""
    run = power_law(rng)
    first = rng.uniform(0.1, 0.5) * setting.total_iter
    last = first + rng.uniform(2, 3) * setting.patience
    return replace(run, curve=lambda t: run.curve(np.minimum(t, first) + np.maximum(t - last, 0)))


def milestone(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Saturate at the first learning rate; a drop to a half or a tenth then gains 0.1 to 0.5 dB in a few thousand."""
    at = int(rng.uniform(0.5, 0.85) * setting.total_iter)
    gain, scale = rng.uniform(0.1, 0.5), rng.uniform(500, 2000)
    run = saturated(rng, setting, 0.04)
    curve = lambda t: run.curve(t) + gain * (1 - np.exp(-np.maximum(t - at, 0) / scale))  # noqa: E731
    schedule = _warm(MultiStepLR((at,), float(rng.choice([0.1, 0.5]))), setting)
    return replace(run, curve=curve, schedule=schedule, gap=gain)


def cosine(rng: np.random.Generator, setting: Setting) -> Simulated:
    """Saturate at the first learning rate; 0.1 to 0.8 dB more come in proportion to its decay."""
    schedule = CosineAnnealingLR(setting.total_iter, 2e-4)
    gain, run = rng.uniform(0.1, 0.8), saturated(rng, setting, 0.04)
    fallen = lambda t: (1 - np.cos(np.pi * t / setting.total_iter)) / 2  # noqa: E731
    curve, gap = (lambda t: run.curve(t) + gain * fallen(t)), gain / rng.uniform(0.1, 0.3)
    return replace(run, curve=curve, schedule=_warm(schedule, setting), gap=gap)


def _warm(schedule: Callable[[int], float], setting: Setting) -> Callable[[int], float]:
    return cache(compose(schedule, setting.warmup_iter))


def _noise(rng: np.random.Generator, high: float = 0.04, low: float = 0.005) -> float:
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
        average_iter=1.0,
        has_probe=True,
    )
    list(watch.on_start(started))
    rng, learning = np.random.default_rng(0), run.learning or run.curve
    for iteration, score in zip(iterations.tolist(), scores.tolist(), strict=True):
        gap = run.gap * run.schedule(iteration - 1) * rng.uniform(0.7, 1.3)
        average, training = (errors(rng, float(curve(np.array(iteration)))) for curve in (run.curve, learning))
        list(watch.on_probe(ProbeFinished(iteration, (average + gap / LOG_TO_DB).tolist(), average.tolist())))
        found = watch.on_validation(ValidationFinished(iteration, {METRIC: score}, training.tolist()))
        if any(isinstance(decision, Stop) for decision in found):
            return iteration
    return setting.total_iter


def errors(rng: np.random.Generator, value: float) -> np.ndarray:
    """Return the log errors of eight crops whose mean gain is that of `value` in dB, each with a noise of 0.1 dB."""
    return (np.linspace(-8, 8, 8) - value + rng.normal(0, 0.1, 8)) / LOG_TO_DB


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
    saved = (setting.total_iter - stop) / setting.total_iter
    return Outcome(stop, float(lost), saved, (stop - run.onset) / setting.patience)


@dataclass(frozen=True)
class Scenario:
    """Curves of one kind, the success criterion, the target, and the settings that it is tried in."""

    make: Callable[[np.random.Generator, Setting], Simulated]
    is_success: Callable[[Outcome], bool]
    target: float | None
    settings: tuple[Setting, ...] = SETTINGS[:3]


def _is_cheap(seen: Outcome) -> bool:
    return seen.lost <= 0.05


def _saves(seen: Outcome) -> bool:
    return _is_cheap(seen) and seen.saved >= 0.4


def _is_in_time(seen: Outcome) -> bool:
    return _is_cheap(seen) and seen.late <= 2


def _gets_the_gain(seen: Outcome) -> bool:
    return seen.lost <= 0.1


SCENARIOS = (
    Scenario(improving, _is_cheap, 0.95, SETTINGS),
    Scenario(flat, _saves, 0.95),
    Scenario(flat_under_a_cosine, _saves, 0.95),
    Scenario(annealing, _gets_the_gain, 0.90),
    Scenario(overfitting, _is_in_time, 0.90),
    Scenario(overfitting_under_a_cosine, _is_in_time, 0.90),
    Scenario(milestone, _gets_the_gain, 0.90, SETTINGS),
    Scenario(cosine, _gets_the_gain, 0.90),
    Scenario(flat_noisy, _saves, None),
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
    saved = np.quantile([one.saved for one in seen], [0.05, 0.5])
    text += f"; saved of the run median {saved[1]:.0%}, p5 {saved[0]:.0%}"
    if scenario.make in (overfitting, overfitting_under_a_cosine):
        late = np.quantile([one.late for one in seen], [0.5, 0.95])
        text += f"; patiences after onset median {late[0]:.1f}, p95 {late[1]:.1f}"
    return text


def run(quick: bool) -> list[Row]:
    """Return one row per preset, rule and scenario, and the mean over the scenarios that have a target."""
    return [row for setting in SETTINGS for rule in RULES for row in compare(setting, rule, quick)]


def compare(setting: Setting, rule: str, quick: bool) -> Iterator[Row]:
    """Yield the rows of one setting and rule."""
    mine, aimed, runs = rule == "automation", [], 50 if quick else 200
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
