"""Which of the settings that change only the speed are faster here: each is tried against the best so far, in turns."""

import math
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from traiNNer.batch import ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.measuring.bench import Bench, synthetic_batches
from traiNNer.measuring.measured import Comparison

WARM_STEPS, ROUNDS = 2, 5
LEAST_GAIN = 1.03
"""A setting is taken when it is at least so many times as fast; less is within the noise of a measurement."""
TOO_SLOW, TOO_SLOW_SMALL = 1.5, 3
"""A setting whose first steps, or steps with a single crop, take so many times as long is not measured further."""
TOLERANCE = {"exact": 1e-3, "half": 2e-2}
"""Largest relative difference of the loss over the first steps from the same start."""
LEAST_TRIAL_S, TRIAL_LENGTH = 20.0, 4.0
"""Seconds after which the first steps of a setting are given up: at least these, and so many times as long as now."""
SECONDS_PER_BLOCK = 0.4
AT_MOST_S = 8.0
"""Seconds after which no further round is timed."""


class TooSlow(Exception):
    """A setting is so slow that measuring it well would be a waste."""


@dataclass(frozen=True)
class Candidate:
    """A change of settings: the keys and values, its name in the report, and how equal the result has to be."""

    title: str
    changes: dict[str, bool]
    tolerance: float


CANDIDATES = {
    "cpu": (
        Candidate("plain memory format", {"use_channels_last": False}, TOLERANCE["exact"]),
        Candidate("bf16", {"use_amp": True, "amp_bf16": True}, TOLERANCE["half"]),
    ),
    "cuda": (
        Candidate("bf16", {"use_amp": True, "amp_bf16": True}, TOLERANCE["half"]),
        Candidate("fp16", {"use_amp": True, "amp_bf16": False}, TOLERANCE["half"]),
        Candidate("TF32", {"fast_matmul": True}, TOLERANCE["half"]),
        Candidate("plain memory format", {"use_channels_last": False}, TOLERANCE["exact"]),
    ),
}
COMPILED = Candidate("compiled", {"use_compile": True}, TOLERANCE["exact"])


def compare_settings(
    options: TrainOptions,
    sets: dict[str, ImageSet],
    candidates: tuple[Candidate, ...],
    say: Callable[[str], None],
    worth: Callable[[Comparison], bool] = lambda _: True,
) -> Iterator[tuple[Comparison, TrainOptions]]:
    """Yield for each candidate how it did, and the options that are active afterwards.

    `worth` may refuse one that is faster, for what it costs.
    """
    best = options
    for candidate in candidates:
        if all(getattr(best, key) == value for key, value in candidate.changes.items()):
            continue
        say(f"trying settings: {candidate.title}")
        changed = best.model_copy(update=candidate.changes)
        try:
            result = _compare(best, changed, sets, candidate, worth)
        except Exception as error:  # whatever a device or a compiler answers, training continues without the setting
            kind = "out of memory" if is_out_of_memory(error) else (str(error).strip() or type(error).__name__)
            result = Comparison(candidate.title, candidate.changes, 0.0, 0.0, False, kind.splitlines()[0][:100])
        best = changed if result.is_taken else best
        yield result, best


def _compare(
    before: TrainOptions,
    after: TrainOptions,
    sets: dict[str, ImageSet],
    candidate: Candidate,
    worth: Callable[[Comparison], bool],
) -> Comparison:
    started = time.perf_counter()
    old = _Timed(before, sets)
    # Compiling takes its time, and the whole process is watched while it does.
    limit_s = 0.0 if after.use_compile else max(LEAST_TRIAL_S, TRIAL_LENGTH * (time.perf_counter() - started))
    try:
        with ended_after(limit_s):
            new = _Timed(after, sets, TOO_SLOW_SMALL * old.small_s)
    except TooSlow as slow:
        note = str(slow) or f"a step with one crop takes more than {TOO_SLOW_SMALL} times as long"
        return Comparison(candidate.title, candidate.changes, 0.0, 0.0, False, note)
    if new.step_s > TOO_SLOW * old.step_s:
        ratio = old.step_s / new.step_s
        return Comparison(candidate.title, candidate.changes, ratio, 0.0, False, f"{ratio:.2f} times as fast")
    differences = [abs(a - b) / max(abs(a), 1e-12) for a, b in zip(old.losses, new.losses, strict=True)]
    # The largest of numbers that are none would be whatever stands first.
    difference = max(differences) if all(map(math.isfinite, differences)) else math.inf
    times: tuple[list[float], list[float]] = ([], [])
    count = max(1, round(SECONDS_PER_BLOCK / old.step_s))
    started = time.perf_counter()
    for _ in range(ROUNDS):
        if times[0] and time.perf_counter() - started > AT_MOST_S:
            break
        for seconds, run in zip(times, (old, new), strict=True):
            seconds.append(run.block(max(1, min(count, round(3 * SECONDS_PER_BLOCK / run.step_s)))))
    # Whatever else the machine does makes steps longer, never shorter: a gain has to show in the best ones too.
    ratio = min(statistics.median(times[0]) / statistics.median(times[1]), min(times[0]) / min(times[1]))
    found = Comparison(candidate.title, candidate.changes, ratio, difference, False, "", new.first_step_s)
    return _judged(found, candidate.tolerance, worth)


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` between two operations of a block that takes longer; 0, or a system without alarms, waits."""
    if not seconds or not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise TooSlow(f"slower: not through its first steps after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _judged(found: Comparison, tolerance: float, worth: Callable[[Comparison], bool]) -> Comparison:
    """Return what was measured with the verdict on it."""
    if not found.difference <= tolerance:
        by = f" by {found.difference:.1%}" if found.difference < 1 else ""
        return replace(found, note=f"results differ{by}")
    if found.ratio < LEAST_GAIN:
        return replace(found, note=f"{found.ratio:.2f} times as fast")
    if not worth(found):
        return replace(found, note=f"{found.ratio:.2f} times as fast, but it takes {found.first_step_s:.0f} s to start")
    return replace(found, is_taken=True, note=f"measured: {found.ratio:.2f} times as fast")


def seconds_per_step(options: TrainOptions, sets: dict[str, ImageSet]) -> float:
    """Return what a step takes on synthetic crops: the median of several blocks."""
    run = _Timed(options, sets)
    count = max(1, round(SECONDS_PER_BLOCK / run.step_s))
    return statistics.median(run.block(count) for _ in range(ROUNDS))


class _Timed:
    """A run that has done its first steps, with their losses; `small_s` is what a step with a single crop takes."""

    def __init__(self, options: TrainOptions, sets: dict[str, ImageSet], at_most_s: float | None = None) -> None:
        self.batches = synthetic_batches(options)
        # Compiling would be for this size.
        self.small_s = 0.0 if options.use_compile else _small_step_seconds(Bench(options, sets))
        if at_most_s is not None and self.small_s > at_most_s:
            raise TooSlow
        self.bench = Bench(options, sets)
        started = time.perf_counter()
        self.losses = [self.bench.step(self.batches)]
        self.first_step_s = time.perf_counter() - started
        started = time.perf_counter()
        self.losses += [self.bench.step(self.batches) for _ in range(WARM_STEPS)]
        self.step_s = (time.perf_counter() - started) / WARM_STEPS

    def block(self, steps: int) -> float:
        """Return the seconds of one step, over several."""
        self.bench.activate()
        started = time.perf_counter()
        for _ in range(steps):
            self.bench.step(self.batches)
        return (time.perf_counter() - started) / steps


def _small_step_seconds(bench: Bench) -> float:
    """Return what a step with a single crop takes, after a first one."""
    batches = synthetic_batches(bench.options, 1)
    bench.step(batches)
    started = time.perf_counter()
    bench.step(batches)
    return time.perf_counter() - started
