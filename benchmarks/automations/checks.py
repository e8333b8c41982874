"""Targets of the real runs, and the tables that report them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.automations.runner import Result

By = Callable[[str], list[Result]]


@dataclass(frozen=True)
class Check:
    """A figure, its target, and whether that is met; `figure` and `target` are texts with their units."""

    network: str
    what: str
    figure: str
    target: str
    met: bool


def losses(reference: Sequence[Result], other: Sequence[Result]) -> list[float]:
    """Return by how many dB the final scores of `other` are below `reference`, per seed; infinite if missing."""
    differences = [a.final - b.final for a, b in zip(reference, other, strict=True)]
    return [math.inf if math.isnan(difference) else difference for difference in differences]


def rate_checks(network: str, runs: By) -> list[Check]:
    """Check the learning-rate automation at the best learning rate and at ten times it."""
    best, fast, kept = runs("sound"), runs("fast-rate_automation"), runs("sound-rate_automation")
    short, harm = losses(best, fast), losses(best, kept)
    return [
        _at_most(network, "learning rate x10 with automation: dB below the best, worst seed", max(short), 0.2),
        _share(network, "learning rate x10 with automation: runs that did not end diverged", fast),
        _at_most(network, "best learning rate with automation: dB lost, mean", fmean(harm), 0.05),
        _at_most(network, "best learning rate with automation: dB lost, worst seed", max(harm), 0.15),
    ]


def spike_checks(network: str, runs: By) -> list[Check]:
    """Check the clipping automation where 1 % of the gradients explode."""
    clipped = runs("spikes-clipping_automation")
    lost = losses(runs("sound"), clipped)
    return [
        _share(network, "spikes with automation: runs that survived", clipped),
        _at_most(network, "spikes with automation: dB below the clean run, mean", fmean(lost), 0.05),
    ]


def default_checks(network: str, runs: By) -> list[Check]:
    """Check that all automations at their defaults leave the baseline run unchanged."""
    change = [abs(loss) for loss in losses(runs("sound"), runs("sound-all_automations"))]
    return [_at_most(network, "all automations at defaults: dB of change, worst seed", max(change), 0.1)]


def stopping_checks(network: str, runs: By) -> list[Check]:
    """Check early stopping on few images: iterations saved, and the best weights before and after the stop."""
    whole, stopped = runs("few"), runs("few-stopping")
    saved = [1 - b.iterations / a.iterations for a, b in zip(whole, stopped, strict=True)]
    lost = [a.best - b.best for a, b in zip(whole, stopped, strict=True)]
    return [
        Check(network, "few images: iterations saved, worst seed", f"{min(saved):.0%}", ">= 30 %", min(saved) >= 0.3),
        _at_most(network, "few images: dB below the best of the whole run, worst seed", max(lost), 0.05),
    ]


def _at_most(network: str, what: str, figure: float, limit: float) -> Check:
    return Check(network, what, f"{figure:+.3f} dB", f"<= {limit:g} dB", figure <= limit)


def _share(network: str, what: str, results: Sequence[Result]) -> Check:
    good = sum(result.survived for result in results)
    return Check(network, what, f"{good} of {len(results)}", "all", good == len(results))


def arm_table(networks: Mapping[str, Mapping[str, list[Result]]]) -> str:
    """Return a table of every arm: mean, worst and each seed's final score, iterations and decisions."""
    rows = ["| network | arm | mean dB | worst | each seed | largest drop | iterations | decisions | exit |"]
    rows.append("|---|---|---|---|---|---|---|---|---|")
    for network, by_arm in networks.items():
        rows += [_arm_row(network, arm, results) for arm, results in by_arm.items()]
    return "\n".join(rows)


def _arm_row(network: str, arm: str, results: Sequence[Result]) -> str:
    finals = [result.best if arm.startswith("few") else result.final for result in results]
    codes = sorted({result.exit_code for result in results})
    cells = [
        network,
        arm,
        f"{fmean(finals):.2f}",
        f"{min(finals, key=lambda score: -math.inf if math.isnan(score) else score):.2f}",
        " ".join(f"{score:.2f}" for score in finals),
        f"{max(result.dip for result in results):.2f}",
        " ".join(str(count) for count in sorted({result.iterations for result in results})),
        " ".join(str(len(result.decisions)) for result in results),
        " ".join(str(code) for code in codes),
    ]
    return f"| {' | '.join(cells)} |"


def check_table(checks: Sequence[Check], judged: bool) -> str:
    """Return a table of the figures with their targets, and with verdicts if `judged`."""
    rows = ["| network | what | figure | target | |", "|---|---|---|---|---|"]
    for check in checks:
        verdict = ("PASS" if check.met else "MISS") if judged else "not judged"
        rows.append(f"| {check.network} | {check.what} | {check.figure} | {check.target} | {verdict} |")
    return "\n".join(rows)
