"""How often a run ends within the interval that was predicted on the way, at 25, 50 and 75 % of its length.

    python -m benchmarks.prediction [FOLDER]

With a folder: the finished runs below it, from their `metrics.jsonl`. Without: 200 simulated curves. The factor on the
standard deviation is found without the group of the run that is judged (a group is a folder of runs, or one kind of
curve), so that no run judges itself; the last line gives the factor over all groups.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traiNNer.engine.control.events import ProbeFinished
from traiNNer.engine.control.prediction import INFLATION, LOG_TO_DB, WITHIN, Forecast

SHARES = (0.25, 0.5, 0.75)
CURVES = 200


@dataclass(frozen=True)
class Run:
    """Live and average of the probes in dB after their iteration, then what was still to fall; scores by iteration."""

    group: str
    total: int
    probes: list[tuple[int, float, float, float]]
    scores: dict[int, float]


def finished_runs(folder: Path) -> Iterator[Run]:
    """Yield the runs with probes that reached their end."""
    for path in sorted(folder.rglob("metrics.jsonl")):
        events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        probes = [(e["iter"], e["live"], e["average"], e["to_fall"]) for e in events if e["event"] == "probe"]
        scores = {e["iter"]: _psnr(e) for e in events if e["event"] == "validation"}
        ended = any(e["event"] == "run_finished" and e["exit_code"] == 0 for e in events)
        if ended and probes and scores:
            yield Run(path.parents[1].name, max(scores), [one for one in probes if None not in one], scores)


def _psnr(event: dict[str, float]) -> float:
    return float(np.mean([value for name, value in event.items() if name.endswith("/psnr")]))


def simulated_runs(count: int = CURVES) -> Iterator[Run]:
    """Yield power laws that end in a linear fall of the rate, with noise that is partly kept from probe to probe."""
    for seed in range(count):
        rng, total = np.random.default_rng(seed), 40000
        at = np.arange(100, total + 1, 100)
        gain, power, scale = rng.uniform(1, 6), rng.uniform(0.2, 0.9), rng.uniform(300, 3000)
        gap, share, fallen = rng.uniform(0, 1), rng.uniform(0, 0.4), np.clip((at / total - 0.7) / 0.3, 0, 1)
        kept, noise = rng.uniform(0.3, 0.9), np.zeros(len(at))
        for place, draw in enumerate(rng.normal(0, rng.uniform(0.005, 0.03), len(at))):
            noise[place] = kept * noise[place - 1] * (place > 0) + draw
        score = 32 - gain * (1 + at / scale) ** -power + gap * share * fallen
        average = score - 3 + noise
        live = average - gap * (1 - fallen) * rng.uniform(0.5, 1.5, len(at))
        probes = list(zip(at.tolist(), live.tolist(), average.tolist(), np.where(at < total, 1.0, 0.0), strict=True))
        scores = {
            int(t): float(value + rng.normal(0, 0.01)) for t, value in zip(at, score, strict=True) if t % 1000 == 0
        }
        yield Run(("slow", "fast")[power > 0.5] + (", small gap", ", large gap")[gap > 0.5], total, probes, scores)


def misses(run: Run) -> list[float]:
    """Return by how many predicted standard deviations, without the factor, the end was missed at each share."""
    final, found = run.scores[max(run.scores)], []
    for share in SHARES:
        now = max((at for at in run.scores if at <= share * run.total), default=0)
        forecast = Forecast(_falling(run), run.total)
        for at, live, average, _ in (probe for probe in run.probes if probe[0] <= now):
            forecast.add(ProbeFinished(at, [-live / LOG_TO_DB], [-average / LOG_TO_DB]))
        seen = forecast.predict(max(now, int(share * run.total)), run.scores.get(now, np.nan))
        found.append(
            np.nan if seen is None else (final - seen.value) / ((seen.high - seen.low) / 2 / WITHIN / INFLATION)
        )
    return found


def _falling(run: Run) -> Callable[[int], float]:
    """Return a schedule of which as much is still to fall as the record says."""
    at = [probe[0] for probe in run.probes]
    rate = [1 - probe[3] for probe in run.probes]
    return lambda place: 1.0 if place < run.total - 1 else float(np.interp(place, at, rate) if max(rate) else 0.0)


def factor(ratios: np.ndarray) -> float:
    """Return the factor with which 90 % are within."""
    return float(np.nanquantile(np.abs(ratios), 0.9)) / WITHIN


def report(runs: list[Run]) -> str:
    """Return the coverage at each share, calibrated on the other groups."""
    ratios, groups = np.array([misses(run) for run in runs]), np.array([run.group for run in runs])
    inside = np.full(ratios.shape, np.nan)
    for group in np.unique(groups):
        mine = groups == group
        others = ratios[~mine] if (~mine).any() else ratios[mine]
        inside[mine] = np.where(np.isnan(ratios[mine]), np.nan, np.abs(ratios[mine]) <= WITHIN * factor(others))
    rows = [
        f"{share:.0%} of the run: {rate:.1%} of {len(runs)} runs within"
        for share, rate in zip(SHARES, np.nanmean(inside, 0), strict=True)
    ]
    shipped = np.nanmean(np.abs(ratios) <= WITHIN * INFLATION)
    whole = f"all: {np.nanmean(inside):.1%}; with the factor in the code ({INFLATION}): {shipped:.1%}"
    return "\n".join([*rows, f"{whole}; factor over all groups {factor(ratios):.2f}"])


if __name__ == "__main__":
    chosen = finished_runs(Path(sys.argv[1])) if len(sys.argv) > 1 else simulated_runs()
    print(report(list(chosen)))
