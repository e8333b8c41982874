"""The figures of the evidence on photos: which runs each needs, and its table with targets, harm beside gain."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.automations.arms import NETWORKS, SMALL, Arms, Case, Network
from benchmarks.automations.files import FILES, File
from benchmarks.automations.intervals import Interval, by_seed
from benchmarks.automations.rows import wilson
from benchmarks.automations.runner import Arm, Result

SEEDS = (1, 2, 3, 4, 5, 6)
SWEEP_SEEDS = 2
SWEEP = (0.1, 1 / 3, 1.0, 3.0, 10.0)
OFF_BY = (10.0, 3.0, 0.1)
HARM, RATE_MEAN, RATE_BOUND = 0.05, 0.1, 0.2
PURSE = 0.02
"""Share of a run that the automations may cost where the file has no warm-up."""
FLAT_BY, FLAT_SHARE, PATIENCES = 0.6, 0.95, 2

Wanted = list[tuple[Arm, int]]
Find = Callable[[Arm, int], Result | None]


@dataclass(frozen=True)
class Table:
    """A figure: its rows as cells of text, and what misses its target."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    missed: list[str]

    def __str__(self) -> str:
        """Return the table in Markdown."""
        lines = [f"### {self.title}", "", f"| {' | '.join(self.head)} |", f"|{'---|' * len(self.head)}"]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in self.rows)])


@dataclass(frozen=True)
class Scope:
    """What is run: the builder of the runs, networks, files and seeds."""

    arms: Arms
    networks: Sequence[Network] = NETWORKS
    files: Sequence[File] = FILES
    seeds: Sequence[int] = SEEDS

    def cases(self) -> Iterator[Case]:
        """Yield every network with every file, seed by seed."""
        for seed in self.seeds:
            for network in self.networks:
                yield from (Case(network, file, seed) for file in self.files)

    def turns(self, network: Network, seeds: Sequence[int] | None = None) -> list[Case]:
        """Return one case a seed, the files in turn."""
        first = self.networks.index(network)
        return [Case(network, self.files[(seed + first) % len(self.files)], seed) for seed in seeds or self.seeds]


Pair = tuple[int, Result, Result]


def pairs(
    cases: Sequence[Case], reference: Callable[[Case], Arm], other: Callable[[Case], Arm], find: Find
) -> list[Pair]:
    """Return seed and both results of every case in which both are known."""
    found = [(case.seed, find(reference(case), case.seed), find(other(case), case.seed)) for case in cases]
    return [(seed, a, b) for seed, a, b in found if a is not None and b is not None]


def lost(found: Sequence[Pair]) -> list[tuple[int, float]]:
    """Return by how many dB the second is below the first, with the seed; infinite if it did not get to its end."""
    return [(seed, math.inf if math.isnan(b.score) else a.score - b.score) for seed, a, b in found]


def interval(found: Sequence[Pair]) -> Interval:
    return Interval.of(by_seed(lost(found)))


def mean_score(results: Sequence[Result]) -> str:
    """Return the mean score, and how many diverged."""
    scores = [one.score for one in results if one.survived]
    failed = len(results) - len(scores)
    text = f"{fmean(scores):.2f}" if scores else ""
    return f"{text}{f' ({failed} diverged)' if failed else ''}".strip() or "-"


def verdict(met: bool) -> str:
    return "met" if met else "MISS"


# Healthy


def healthy_runs(scope: Scope) -> Wanted:
    """Return all automations and none, for every case; every other seed begins with none."""
    runs: Wanted = []
    for case in scope.cases():
        both = [(scope.arms.on(case), case.seed), (scope.arms.off(case), case.seed)]
        runs += both if case.seed % 2 else both[::-1]
    return runs


def healthy(scope: Scope, find: Find) -> Table:
    """Compare all automations with none where they have nothing to do."""
    rows, every = [], []
    for network in scope.networks:
        for file in scope.files:
            cases = [Case(network, file, seed) for seed in scope.seeds]
            found = pairs(cases, scope.arms.off, scope.arms.on, find)
            every += found
            rows += [_healthy_row(network.title, file, found)] if found else []
    bound, alarms = interval(every), sum(on.false_alarms for _, _, on in every)
    unmoved = [off.weights == on.weights for _, off, on in every if not on.moves]
    misses = [] if bound.high <= HARM else [f"healthy: upper bound {bound.high:+.3f} dB, at most {HARM}"]
    misses += [f"healthy: {alarms} false alarms in {len(every)} runs"] if alarms else []
    misses += [] if all(unmoved) else [f"healthy: {unmoved.count(False)} runs without a move differ in their weights"]
    rows.append((*_healthy_row("all", "", every)[:-1], f"<= {HARM} dB {verdict(bound.high <= HARM)}; "
                 f"0 alarms {verdict(not alarms)}; equal {verdict(all(unmoved))}"))  # fmt: skip
    head = ("network", "file", "off dB", "on dB", "lost dB [95 %]", "worst", "false alarms", "moves a run",
            "weights equal where nothing moved", "iterations lost", "target")  # fmt: skip
    return Table(f"Healthy runs: {len(every)} pairs", head, rows, misses)


def _healthy_row(network: str, file: str, found: Sequence[Pair]) -> tuple[str, ...]:
    offs, ons = [off for _, off, _ in found], [on for _, _, on in found]
    unmoved = [off.weights == on.weights for off, on in zip(offs, ons, strict=True) if not on.moves]
    return (
        network,
        file,
        mean_score(offs),
        mean_score(ons),
        str(interval(found)),
        f"{max((value for _, value in lost(found)), default=math.nan):+.3f}",
        str(sum(on.false_alarms for on in ons)),
        f"{fmean(on.moves for on in ons):.1f}" if ons else "-",
        f"{sum(unmoved)} of {len(unmoved)}",
        str(sum(on.lost for on in ons)),
        "",
    )


# Rates


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


# Spikes


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
    for network in scope.networks:
        clean = pairs(
            scope.turns(network), scope.arms.off, lambda case: scope.arms.with_spikes(scope.arms.on(case)), find
        )
        limited = pairs(
            scope.turns(network), scope.arms.off, lambda case: scope.arms.with_spikes(scope.arms.off(case)), find
        )
        if not clean:
            continue
        seen = interval(clean)
        is_met = seen.high <= HARM
        misses += [] if is_met else [f"spikes, {network.title}: {seen} dB, bound {HARM}"]
        rows.append(
            (
                network.title,
                mean_score([a for _, a, _ in clean]),
                mean_score([b for _, _, b in clean]),
                str(seen),
                mean_score([b for _, _, b in limited]),
                str(interval(limited)),
                " ".join(str(on.false_alarms) for _, _, on in clean),
                f"bound {HARM} {verdict(is_met)}",
            )
        )
    head = ("network", "clean dB", "spikes, all on dB", "below clean dB [95 %]", "spikes, limit alone dB",
            "below clean dB [95 %]", "alarms", "target")  # fmt: skip
    return Table("1 % of the gradients x30 to 10,000, some NaN", head, rows, misses)


# Flat, and overfitting


def flat_runs(scope: Scope) -> Wanted:
    """Return runs of the small network that learn nothing after their first fifth."""
    cases = [Case(SMALL, file, seed) for seed in scope.seeds for file in scope.files]
    return [(scope.arms.flat(scope.arms.on(case)), case.seed) for case in cases]


def flat(scope: Scope, find: Find) -> Table:
    """Tell when runs that learn nothing more are stopped."""
    rows, misses, on_time, runs = [], [], 0, 0
    for file in scope.files:
        cases = [Case(SMALL, file, seed) for seed in scope.seeds]
        arms = [(scope.arms.flat(scope.arms.on(case)), case.seed) for case in cases]
        found = [(result, arm.tree["train"]["total_iter"]) for arm, seed in arms if (result := find(arm, seed))]
        shares = [one.iterations / total if one.stops else 1.0 for one, total in found]
        on_time, runs = on_time + sum(share <= FLAT_BY for share in shares), runs + len(shares)
        gave = [one.best - max((s for at, s in one.curve if at <= FLAT_BY * total), default=0) for one, total in found]
        rows += [(file, f"{sum(share <= FLAT_BY for share in shares)} of {len(shares)}", "",
                  " ".join(f"{share:.0%}" for share in shares), f"{max(gave):+.3f}", "")] if found else []  # fmt: skip
    if runs:
        low, high = wilson(on_time, runs)
        is_met = on_time >= FLAT_SHARE * runs
        misses += [] if is_met else [f"flat: {on_time} of {runs} stopped by {FLAT_BY:.0%}"]
        rows.append(("all", f"{on_time} of {runs}", f"{low:.0%} to {high:.0%}", "", "",
                     f">= {FLAT_SHARE:.0%} {verdict(is_met)}"))  # fmt: skip
    head = ("file", f"stopped by {FLAT_BY:.0%}", "95 %", "ended at", "most gained afterwards dB", "target")
    return Table("Flat from 20 % of the run, SmallCNN", head, rows, misses)


def overfit_runs(scope: Scope) -> Wanted:
    """Return runs of the small network on few photos, stopped and whole."""
    cases = [Case(SMALL, file, seed) for seed in scope.seeds for file in scope.files]
    arms = scope.arms
    return [(arms.few(one), case.seed) for case in cases for one in (arms.off(case), arms.on(case))]


def overfit(scope: Scope, find: Find) -> Table:
    """Tell how late overfitting runs are stopped, and what their best weights lack."""
    rows, misses = [], []
    for file in scope.files:
        cases = [Case(SMALL, file, seed) for seed in scope.seeds]
        found = pairs(
            cases,
            lambda case: scope.arms.few(scope.arms.off(case)),
            lambda case: scope.arms.few(scope.arms.on(case)),
            find,
        )
        if not found:
            continue
        patience = _patience(scope.arms.on(cases[0]))
        late = [(on.iterations - off.best_at) / patience if on.stops else math.inf for _, off, on in found]
        short = [off.best - on.best for _, off, on in found]
        is_met = max(late) <= PATIENCES and max(short) <= HARM
        misses += [] if is_met else [f"overfitting, {file}: {max(late):.1f} patiences late, {max(short):+.3f} dB"]
        rows.append(
            (
                file,
                " ".join(str(off.best_at) for _, off, _ in found),
                " ".join(str(on.iterations) for _, _, on in found),
                " ".join(f"{value:.1f}" for value in late),
                str(Interval.of([(off.best - off.score) for _, off, _ in found])),
                str(Interval.of(short)),
                f"<= {PATIENCES} patiences, {HARM} dB {verdict(is_met)}",
            )
        )
    head = ("file", "onset", "ended at", "patiences after the onset", "the whole run loses dB [95 %]",
            "best weights lack dB [95 %]", "target")  # fmt: skip
    return Table("Overfitting on few small photos, SmallCNN", head, rows, misses)


def _patience(arm: Arm) -> int:
    """Return the patience of a run in iterations, at least that of five validations."""
    stopping = arm.tree["train"]["training_automations"]["IntelligentEarlyStopping"]
    return max(stopping["patience"], 5 * arm.tree["val"]["val_freq"])
