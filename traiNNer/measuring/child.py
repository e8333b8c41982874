"""The process that measures: it reads a job from stdin and writes to stdout, line by line, what it does and finds.

Whatever it does to memory, random generators, switches and files ends with it.
"""

import os
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TextIO

from traiNNer.batch import ImageSet
from traiNNer.config.load import check_tree
from traiNNer.config.options import ENDLESS, TrainOptions
from traiNNer.config.tree import node_of
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.measuring.bench import Bench, release
from traiNNer.measuring.halving import LEAST_ITERATIONS, SHARES, first_length, halve
from traiNNer.measuring.measured import Comparison, Crop, Fit, Measured, Pace, Trials
from traiNNer.measuring.memory import fitting_tile, largest_fit
from traiNNer.measuring.messages import Job, Progress, Stage, encode, read_job
from traiNNer.measuring.pace import measure_pace
from traiNNer.measuring.settings import CANDIDATES, COMPILED, Candidate, compare_settings, seconds_per_step
from traiNNer.run.build import open_dataset
from traiNNer.utils.durations import seconds_of

PROBED = 6
LATE = 1.2
"""How much longer than meant the trials of learning rates may take, where the machine has become slower."""
ENOUGH_ITERATIONS = 10_000
"""A budget that leaves fewer iterations is spent on smaller crops."""
COMPILE_FROM_S = 1800
"""Length of a run from which compiling is tried: it takes most of a minute, several times."""


class Measuring:
    """The steps of a job, each of which may change the options that the next ones are measured with."""

    def __init__(self, job: Job, out: TextIO) -> None:
        self.job, self.out = job, out
        self.measured = Measured()
        options = check_tree(node_of(job.tree), TrainOptions, "the measured run").options
        # One process measures, however many will train; and no step of the measuring may be its last.
        train = options.train.model_copy(update={"total_iter": ENDLESS, "end_at": None})
        self.total_iter = options.train.total_iter
        self.end_s = seconds_of(options.train.end_at) if options.train.end_at else None
        self.options = options.model_copy(update={"dist": False, "train": train})
        quiet = Logbook(quiet=True)
        self.sets: dict[str, ImageSet] = {key: open_dataset(self.options, key, quiet) for key in self.options.datasets}
        self.device = start_runtime(self.options)[0].device.type
        self.run_s = 0.0
        self.trained, self.trained_s = 0, 0.0

    def run(self) -> None:
        """Do every step of the job, or stop where not even one crop fits into memory."""
        self._enter(Stage("ready"))
        if not self._fit():
            self._enter(Stage("nothing fits"))
            return
        self._choose(CANDIDATES.get(self.device, ()))
        if self.job.crops:
            self._choose_crop()
        if self.job.rates:
            self._found(trials=self._try_rates())
        pace = self._measure_pace(self.job.workers)
        self._found(pace=pace)
        self.run_s = self.job.run_s or self.end_s or self.total_iter / pace.it_per_s
        if self.run_s >= COMPILE_FROM_S:
            self._enter(Stage("expendable"))
            self._try_compiling(pace)
        self._enter(Stage("done"))

    def say(self, text: str) -> None:
        """Report the progress."""
        self._write(encode(Progress(text)))

    def _enter(self, stage: Stage) -> None:
        self._write(encode(stage))

    def _found(self, **changes: Any) -> None:
        """Send everything that is known by now, with results that are new."""
        self.measured = replace(self.measured, **changes)
        self._write(encode(self.measured))

    def _write(self, line: str) -> None:
        self.out.write(line)
        self.out.flush()

    def _fit(self) -> bool:
        """Find tile and micro-batch; return whether there is one."""
        tile = fitting_tile(self.options, self.sets, self.job.validated, self.say)
        if tile != self.options.val.tile_size:
            self._found(tile=tile)
            val = self.options.val.model_copy(update={"tile_size": tile})
            self.options = self.options.model_copy(update={"val": val})
        fit = largest_fit(self.options, self.sets, self._found_fit, self.say)
        if fit is None:
            return False
        self._found_fit(fit)
        data = self.options.datasets["train"]
        batch = data.batch_size_per_gpu * data.accum_iter
        self._change_train_set(batch_size_per_gpu=fit.size, accum_iter=batch // fit.size)
        return True

    def _found_fit(self, fit: Fit) -> None:
        self._found(fit=fit)

    def _change_train_set(self, **changes: Any) -> None:
        train = self.options.datasets["train"].model_copy(update=changes)
        self.options = self.options.model_copy(update={"datasets": self.options.datasets | {"train": train}})

    def _choose(self, candidates: Sequence[Candidate]) -> None:
        wanted = tuple(one for one in candidates if not set(one.changes) & set(self.job.given))
        for result, options in compare_settings(self.options, self.sets, wanted, self.say, self._is_worth):
            self.options = options
            self._found(settings=(*self.measured.settings, result))

    def _choose_crop(self) -> None:
        """Take smaller crops where a budget would leave few iterations with the usual ones."""
        assert self.job.run_s is not None
        step_s: dict[int, float] = {}
        for side in self.job.crops:
            self.say(f"measuring a step with crops of {side}")
            self._change_train_set(options=self.options.datasets["train"].replace(lq_size=side).options)
            step_s[side] = seconds_per_step(self.options, self.sets)
            if self.job.run_s / step_s[side] >= ENOUGH_ITERATIONS:
                break
        self.sets["train"] = open_dataset(self.options, "train", Logbook(quiet=True))  # which cuts the crops
        self._found(crop=Crop([*step_s][-1], step_s))

    def _measure_pace(self, workers: Sequence[int]) -> Pace:
        pace = measure_pace(self.options, self.sets, workers, self.job.decoded_mb, self.say)
        if not self.trained or pace.workers:
            return pace
        # The trials are the longer look: a machine that does other things for a few seconds does not decide alone.
        return replace(pace, it_per_s=(self.trained + pace.trained) / (self.trained_s + pace.trained_s))

    def _try_compiling(self, plain: Pace) -> None:
        self._choose((COMPILED,))
        if self.options.use_compile:
            pace = measure_pace(self.options, self.sets, [plain.workers], self.job.decoded_mb, self.say)
            self._found(pace=replace(pace, decode_s=plain.decode_s))

    def _is_worth(self, result: Comparison) -> bool:
        if "use_compile" not in result.changes:
            return True
        # Validation is compiled too, for the shapes of its images.
        return 3 * result.first_step_s < self.run_s * (1 - 1 / result.ratio)

    def _try_rates(self) -> Trials:
        rates, length = self._affordable(*self._trial_costs())
        if not length:
            return Trials()
        started = time.perf_counter()
        limit = started + LATE * self.job.rate_seconds_at_most
        benches: list[Bench] = []

        def start(rate: float) -> Bench:
            benches.append(Bench(self._at_rate(rate, length), self.sets))
            return benches[-1]

        try:
            trials = halve(rates, length, start, self.say, lambda: time.perf_counter() > limit)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            trials = Trials()  # several trainings at once need more memory than one
        self.trained = sum(bench.trained for bench in benches)
        self.trained_s = sum(bench.trained_s for bench in benches)
        return replace(trials, seconds=time.perf_counter() - started)

    def _trial_costs(self) -> tuple[float, float]:
        """Return the seconds of a step and of a score."""
        probe = Bench(self._at_rate(self.job.rates[0][0]), self.sets)
        probe.train(2)
        step_s = statistics.median(probe.train(1) for _ in range(PROBED))
        probe.score()
        started = time.perf_counter()
        probe.score()
        score_s = time.perf_counter() - started
        release(self.options, probe)
        return step_s, score_s

    def _affordable(self, step_s: float, score_s: float) -> tuple[Sequence[float], int]:
        """Return the rates to try and the length of the first round: all of them, or fewer where time is short."""
        longest = max(LEAST_ITERATIONS, self.total_iter // SHARES[-1])  # no trial is longer than the run
        for rates in self.job.rates:
            length = first_length(len(rates), self.job.rate_seconds, step_s, score_s)
            if length:
                return rates, min(length, longest)
        least = self.job.rates[-1]  # the fewest, and no longer than they have to be
        fits = first_length(len(least), self.job.rate_seconds_at_most, step_s, score_s)
        return (least, LEAST_ITERATIONS) if fits else ((), 0)

    def _at_rate(self, rate: float, length: int = 10) -> TrainOptions:
        """Return the options of a trial: a rate that rises over the first round and then stays, no automation."""
        train = self.options.train
        optimizer = train.optim_g.replace(lr=rate)
        changes = {
            "optim_g": optimizer,
            "scheduler": None,
            "warmup_iter": length,
            "training_automations": None,
        }
        return self.options.model_copy(update={"train": train.model_copy(update=changes)})


def main() -> None:
    """Do the job that stdin holds. Every problem of the run has been reported before, so nothing is caught."""
    warnings.simplefilter("ignore")  # they would say that the network is untrained, which is known
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not mix with the messages
    Measuring(read_job(sys.stdin.read()), out).run()


if __name__ == "__main__":
    main()
