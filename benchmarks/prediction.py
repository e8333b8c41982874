"""How often a run ends within the interval that was predicted on the way, at 25, 50 and 75 % of its length.

    python -m benchmarks.prediction

The curves in `benchmarks/data/curves.json.gz` are real, short trainings on BSDS photos: SmallCNN with 16 channels and
Compact with 16 and 24, Muon and AdamW at 0.3 to 2 times a good rate, three schedules, 200 to 600 iterations with a
probe (8 crops of other photos) every 2 % and a score (PSNR of 10 more photos, average of the weights) every 25 %.
The error is found without the kind of run that is judged (network, optimizer and schedule), so no run judges itself.
"""

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from traiNNer.engine.control.events import ProbeFinished
from traiNNer.engine.control.host import PROBE_EVERY
from traiNNer.engine.control.prediction import ERROR_PER_FOLD, WITHIN, Forecast, Parts

CURVES = Path(__file__).parent / "data/curves.json.gz"
SHARES = (0.25, 0.5, 0.75)
DECAYS = {
    "linear": lambda done: 1 - done,
    "last 30 %": lambda done: min(1.0, (1 - done) / 0.3),
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}


class Case(NamedTuple):
    """One prediction: when it was made, of what kind of run, its parts, and by how many dB the end was missed."""

    share: float
    kind: str
    parts: Parts
    error: float


def cases(period: int = 0) -> Iterator[Case]:
    """Yield what is predicted of the stored runs from all of their probes, or from about one in `period` iterations."""
    for run in json.loads(gzip.decompress(CURVES.read_bytes())):
        for share, score in zip(SHARES, run["scores"], strict=False):
            forecast = Forecast(lambda at, run=run: rate(run, at), run["steps"], run["warmup"])
            now, step = int(share * run["steps"]), run["steps"] // len(run["probes"])
            for count, (live, average) in enumerate(run["probes"], 1):
                if count * step <= now and count % max(1, round(period / step)) == 0:
                    forecast.add(ProbeFinished(count * step, [live], [average]))
            if forecast.predict(now, score) is not None:
                parts = forecast.parts(now)
                error = run["scores"][-1] - score - parts.gain - parts.annealing
                yield Case(share, " ".join(run["group"]), parts, error)


def rate(run: dict[str, Any], at: int) -> float:
    """Return the factor on the learning rate of a stored run at an iteration from 0: warm-up, then its decay."""
    warmup, done = run["warmup"], max(0, at - run["warmup"]) / (run["steps"] - run["warmup"])
    return min(1.0, (at + 1) / warmup) * DECAYS[run["group"][2]](done)


def inside(case: Case, per_fold: float) -> bool:
    """Whether the run ended within the interval for that error."""
    return abs(case.error) <= WITHIN * case.parts.sd(per_fold)


def calibrated(found: list[Case]) -> float:
    """Return the smallest error with which 90 % are within."""
    values = np.arange(0.05, 3.0, 0.01)
    return float(next(value for value in values if np.mean([inside(case, value) for case in found]) >= 0.9))


def report(found: list[Case]) -> str:
    """Return coverage and width at each share, each kind of run judged by the others."""
    kinds = sorted({case.kind for case in found})
    others = {kind: calibrated([case for case in found if case.kind != kind]) for kind in kinds}
    rows = ["| done | runs | within | half width | bias |", "|---|---|---|---|---|"]
    for share in (*SHARES, None):
        chosen = [case for case in found if share in (case.share, None)]
        if chosen:
            within = np.mean([inside(case, others[case.kind]) for case in chosen])
            width = WITHIN * np.median([case.parts.sd() for case in chosen])
            bias = np.median([case.error for case in chosen])
            name = "all" if share is None else f"{share:.0%}"
            rows.append(f"| {name} | {len(chosen)} | {within:.1%} | {width:.2f} dB | {bias:+.2f} dB |")
    shipped = np.mean([inside(case, ERROR_PER_FOLD) for case in found])
    return "\n".join(
        [*rows, f"error per fold {calibrated(found):.2f}; with {ERROR_PER_FOLD} of the code: {shipped:.1%}"]
    )


if __name__ == "__main__":
    print(report(list(cases())))
    print(f"\nwith a probe every {PROBE_EVERY} iterations only:\n\n{report(list(cases(PROBE_EVERY)))}")
