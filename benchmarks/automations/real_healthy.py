"""Healthy runs: all automations against none, for every network and file."""

import math
from collections.abc import Sequence
from statistics import fmean

from benchmarks.automations.arms import Case
from benchmarks.automations.figures import (
    HARM,
    Find,
    Pair,
    Scope,
    Table,
    Wanted,
    interval,
    lost,
    mean_score,
    pairs,
    verdict,
)


def runs(scope: Scope) -> Wanted:
    """Return all automations and none, for every case; every other seed begins with none."""
    runs: Wanted = []
    for case in scope.cases():
        both = [(scope.arms.on(case), case.seed), (scope.arms.off(case), case.seed)]
        runs += both if case.seed % 2 else both[::-1]
    return runs


def table(scope: Scope, find: Find) -> Table:
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
    equal = sum(off.weights == on.weights for off, on in zip(offs, ons, strict=True))
    return (
        network,
        file,
        mean_score(offs),
        mean_score(ons),
        str(interval(found)),
        f"{max((value for _, value in lost(found)), default=math.nan):+.3f}",
        str(sum(on.false_alarms for on in ons)),
        f"{fmean(on.moves for on in ons):.1f}" if ons else "-",
        f"{sum(unmoved)} of {len(unmoved)}; in all {equal} of {len(ons)}",
        str(sum(on.lost for on in ons)),
        "",
    )
