"""Wrong learning rates, and exploding gradients; every network takes the files in turn, one a seed."""

import math
from collections.abc import Sequence
from statistics import fmean

from benchmarks.automations.arms import Network
from benchmarks.automations.figures import HARM, Find, Pair, Scope, Table, Wanted, interval, mean_score, pairs, verdict
from benchmarks.automations.runner import Arm

SWEEP_SEEDS = 2
SWEEP = (0.1, 1 / 3, 1.0, 3.0, 10.0)
OFF_BY = (10.0, 3.0, 0.1)
RATE_MEAN, RATE_BOUND = 0.1, 0.2
PURSE = 0.02
"""Share of a run that the automations may cost where the file has no warm-up."""


def sweep_runs(scope: Scope) -> Wanted:
    """Return every rate of the sweep without automations, on the first seeds."""
    cases = [case for network in scope.networks for case in scope.turns(network, scope.seeds[:SWEEP_SEEDS])]
    return [(scope.arms.at_rate(scope.arms.off(case), rate), case.seed) for case in cases for rate in SWEEP]


def best_rate(scope: Scope, network: Network, find: Find) -> float | None:
    """Return the factor of the sweep whose scores are best in the mean; None before it is complete."""
    means = {}
    for rate in SWEEP:
        cases = scope.turns(network, scope.seeds[:SWEEP_SEEDS])
        results = [find(scope.arms.at_rate(scope.arms.off(case), rate), case.seed) for case in cases]
        if any(one is None for one in results):
            return None
        means[rate] = fmean(one.score if one and one.survived else -math.inf for one in results)
    return max(means, key=lambda rate: means[rate])


def rate_runs(scope: Scope, find: Find) -> Wanted:
    """Return wrong rates with and without automations and the best of the sweep, seed by seed."""
    runs: Wanted = []
    for place, seed in enumerate(scope.seeds):
        for network in scope.networks:
            case, best = scope.turns(network)[place], best_rate(scope, network, find)
            on, off = scope.arms.on(case), scope.arms.off(case)
            runs += [] if best is None else [(scope.arms.at_rate(off, best), seed)]
            runs += [(scope.arms.at_rate(on, rate), seed) for rate in OFF_BY]
    return runs


def rates(scope: Scope, find: Find) -> Table:
    """Compare wrong rates with all automations with the sweep's best without."""
    rows, misses = [], []
    for rate in OFF_BY:
        every: list[Pair] = []
        dear = 0
        for network in scope.networks:
            best = best_rate(scope, network, find)
            found = [] if best is None else _rate_pairs(scope, network, rate, best, find)
            every += found
            limits = {case.seed: _allowed(scope.arms.on(case)) for case in scope.turns(network)}
            dear += sum(on.lost > limits[seed] for seed, _, on in found)
            rows += [_rate_row(scope, network, rate, best, found, find)] if found and best is not None else []
        seen, diverged = interval(every), sum(not on.survived for _, _, on in every)
        is_near = seen.mean <= RATE_MEAN and seen.high <= RATE_BOUND
        misses += [] if is_near else [f"rate x{rate:g}: {seen} dB, at most {RATE_MEAN}, bound {RATE_BOUND}"]
        misses += [f"rate x{rate:g}: {diverged} diverged"] if diverged else []
        misses += [f"rate x{rate:g}: {dear} runs lost more than their warm-up"] if dear else []
        target = f"<= {RATE_MEAN}, bound {RATE_BOUND} {verdict(is_near)}; none diverged {verdict(not diverged)}; "
        target += f"cost {verdict(not dear)}"
        rows.append((f"x{rate:g}", "all", "", "", "", str(seen), str(diverged), _costs(every), target))
    head = ("rate", "network", "best of the sweep", "without dB", "with dB", "below the best dB [95 %]", "diverged",
            "iterations lost", "target")  # fmt: skip
    return Table("A wrong learning rate", head, rows, misses)


def _rate_pairs(scope: Scope, network: Network, rate: float, best: float, find: Find) -> list[Pair]:
    arms = scope.arms
    return pairs(
        scope.turns(network),
        lambda case: arms.at_rate(arms.off(case), best),
        lambda case: arms.at_rate(arms.on(case), rate),
        find,
    )


def _rate_row(
    scope: Scope, network: Network, rate: float, best: float, found: Sequence[Pair], find: Find
) -> tuple[str, ...]:
    cases = scope.turns(network, scope.seeds[:SWEEP_SEEDS])
    without = [find(scope.arms.at_rate(scope.arms.off(case), rate), case.seed) for case in cases]
    ons = [on for _, _, on in found]
    return (
        f"x{rate:g}",
        network.title,
        f"x{best:.3g}, {mean_score([a for _, a, _ in found])} dB",
        f"{mean_score([one for one in without if one])}, {len(without)} seeds",
        mean_score(ons),
        str(interval(found)),
        str(sum(not on.survived for on in ons)),
        _costs(found),
        "",
    )


def _costs(found: Sequence[Pair]) -> str:
    return " ".join(str(on.lost) for _, _, on in found)


def _allowed(arm: Arm) -> int:
    """Return the iterations that a run may lose: those of its warm-up, or the purse where there is none."""
    train = arm.tree["train"]
    return train.get("warmup_iter", 0) or round(PURSE * train["total_iter"])


def spike_runs(scope: Scope) -> Wanted:
    """Return exploding gradients with and without automations, and the clean run, seed by seed."""
    runs: Wanted = []
    for place, seed in enumerate(scope.seeds):
        for network in scope.networks:
            case = scope.turns(network)[place]
            on, off = scope.arms.on(case), scope.arms.off(case)
            runs += [(one, seed) for one in (off, scope.arms.with_spikes(on), scope.arms.with_spikes(off))]
    return runs


def spikes(scope: Scope, find: Find) -> Table:
    """Compare exploding gradients under all automations with the clean run, and with the user's limit alone."""
    rows, misses = [], []
    whole: tuple[list[Pair], list[Pair]] = ([], [])
    for network in scope.networks:
        found = _spike_pairs(scope, network, find)
        for every, more in zip(whole, found, strict=True):
            every.extend(more)
        if not found[0]:
            continue
        seen = interval(found[0])
        is_met = seen.high <= HARM
        misses += [] if is_met else [f"spikes, {network.title}: {seen} dB, bound {HARM}"]
        rows.append((*_spike_row(network.title, *found), f"bound {HARM} {verdict(is_met)}"))
    rows.append((*_spike_row("all", *whole), ""))
    head = ("network", "clean dB", "spikes, all on dB", "below clean dB [95 %]", "spikes, limit alone dB",
            "below clean dB [95 %]", "alarms", "target")  # fmt: skip
    return Table("1 % of the gradients x30 to 10,000, some NaN", head, rows, misses)


def _spike_pairs(scope: Scope, network: Network, find: Find) -> tuple[list[Pair], list[Pair]]:
    """Return the clean run beside that with spikes, under all automations and under the limit alone."""
    arms, cases = scope.arms, scope.turns(network)
    clean = pairs(cases, arms.off, lambda case: arms.with_spikes(arms.on(case)), find)
    return clean, pairs(cases, arms.off, lambda case: arms.with_spikes(arms.off(case)), find)


def _spike_row(title: str, clean: Sequence[Pair], limited: Sequence[Pair]) -> tuple[str, ...]:
    return (
        title,
        mean_score([a for _, a, _ in clean]),
        mean_score([b for _, _, b in clean]),
        str(interval(clean)),
        mean_score([b for _, _, b in limited]),
        str(interval(limited)),
        " ".join(str(on.false_alarms) for _, _, on in clean) if title != "all" else "",
    )
