"""Simulated evidence for the loss balance: gradient shares that match the loss weights, from noisy batches.

    python -m benchmarks.automations.simulated_balance [--quick]

Three losses whose unit gradients are 1 : 250 : 0.004 of each other, with random weights; the norms of single batches
vary with a log standard deviation of 0.35 to 0.5, of which the losses share a part (correlation 0.5 to 0.9: a hard
batch is hard for all; `independent` is the worst case, without a target). Success of one run: every share of the true
gradient is within 15 % of what the weights ask for. Another row measures how well two estimates agree.
"""

import math
import sys
from collections.abc import Mapping

import numpy as np

from benchmarks.automations.rows import Row, table
from traiNNer.automations.loss_balance import BATCHES, DynamicLossScheduling
from traiNNer.engine.control.events import RunStarted, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import LOSS_WEIGHT, Knobs

UNITS = {"l1": 1.0, "fft": 250.0, "gan": 0.004}
CLOSE, REPEATS = 0.15, 3 * math.sqrt(2) * 0.4 / math.sqrt(BATCHES)  # 0.4 / sqrt(32) is 7 %


def factors(
    random: np.random.Generator, weights: Mapping[str, float], is_on: bool = True, is_shared: bool = True
) -> dict[str, float]:
    """Run the real automation on 32 batches and return the factors it requests."""
    automation = DynamicLossScheduling(auto_calibrate=is_on)
    automation.attach(Knobs(losses=tuple(weights)))
    list(automation.on_start(RunStarted(10_000, 8, losses=weights, anchor="l1")))
    spread = random.uniform(0.35, 0.5)
    shared = random.uniform(0.5, 0.9) if is_shared else 0.0
    common = math.sqrt(shared) * spread * random.standard_normal(BATCHES)
    own = math.sqrt(1 - shared) * spread * random.standard_normal((BATCHES, len(weights)))
    steps = []
    for batch in range(BATCHES):
        noise = np.exp(common[batch] + own[batch])
        pulls = zip(weights.items(), noise, strict=True)
        norms = {name: weight * UNITS[name] * float(factor) for (name, weight), factor in pulls}
        steps.append(Step(True, 1.0, 0.1, norms=norms))
    found = dict.fromkeys(weights, 1.0)
    for decision in automation.on_window(WindowFinished(BATCHES, steps)):
        if isinstance(decision, SetKnob):
            found[decision.knob.removeprefix(LOSS_WEIGHT)] = decision.value
    return found


def is_balanced(weights: Mapping[str, float], found: Mapping[str, float]) -> bool:
    """Return whether every share of the true gradient is within 15 % of the request."""
    pulls = {name: weight * UNITS[name] * found[name] for name, weight in weights.items()}
    whole, asked = sum(pulls.values()), sum(weights.values())
    return all(abs(pulls[name] / whole / (weights[name] / asked) - 1) <= CLOSE for name in weights)


def run(quick: bool) -> list[Row]:
    """Return the results of 200 runs; they take a second, so `quick` changes nothing."""
    del quick
    good, worst, without, repeats, errors = [], [], [], [], []
    for seed in range(200):
        random = np.random.default_rng(seed)
        weights = {name: float(np.exp(random.uniform(np.log(0.1), 0))) for name in UNITS}
        first, second = factors(random, weights), factors(random, weights)
        good.append(is_balanced(weights, first))
        worst.append(is_balanced(weights, factors(random, weights, is_shared=False)))
        without.append(is_balanced(weights, factors(random, weights, is_on=False)))
        apart = [abs(math.log(first[name] / second[name])) for name in ("fft", "gan")]
        repeats.append(max(apart) <= REPEATS)
        errors += [abs(math.log(first[name] * UNITS[name])) for name in ("fft", "gan")]
    note = f"error of a factor: median {np.median(errors):.1%}, p95 {np.quantile(errors, 0.95):.1%}"
    scenario = "gradients 1 : 250 : 0.004, shares within 15 %"
    return [
        Row("DynamicLossScheduling", scenario, "this automation", len(good), sum(good), 0.95, note),
        Row("DynamicLossScheduling", f"{scenario}, independent", "this automation", len(worst), sum(worst)),
        Row("DynamicLossScheduling", scenario, "weights as they are", len(without), sum(without)),
        Row("DynamicLossScheduling", "two estimates agree", "this automation", len(repeats), sum(repeats), 0.95),
    ]


if __name__ == "__main__":
    rows = run("--quick" in sys.argv)
    sys.stdout.write(table(rows) + "\n")
    sys.exit(not all(row.is_met for row in rows))
