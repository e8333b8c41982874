"""The process that measures: it reads a job from stdin and tells on stdout, line by line, what it does and finds.

Whatever it does to memory, random generators, switches and files ends with it.
"""

import json
import os
import statistics
import sys
import time
import warnings
from dataclasses import asdict
from typing import Any, TextIO

from traiNNer.batch import ImageSet
from traiNNer.build import open_dataset
from traiNNer.config.draft import node_of
from traiNNer.config.load import check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.engine.logbook import Logbook
from traiNNer.engine.runtime import is_out_of_memory, start_runtime
from traiNNer.zero_config.bench import Bench, release
from traiNNer.zero_config.halving import LEAST_ITERATIONS, Outcome, first_length, halve
from traiNNer.zero_config.memory import fitting_tile, largest_fit
from traiNNer.zero_config.pace import measure_pace
from traiNNer.zero_config.settings import CANDIDATES, COMPILED, Comparison, compare_settings, seconds_per_step

ENDLESS = 10**9
PROBED = 6
LATE = 1.2
"""How much longer than meant the trials of rates may take, where the machine has become slower."""
ENOUGH_ITERATIONS = 10_000
"""A budget that leaves fewer iterations is spent on smaller crops."""
COMPILE_FROM_S = 1800
"""Length of a run from which compiling is tried: it takes most of a minute, several times."""


class Measuring:
    """The steps of a job, each of which may change the options that the next ones are measured with."""

    def __init__(self, job: dict[str, Any], out: TextIO) -> None:
        self.job, self.out = job, out
        options = check_tree(node_of(job["tree"]), TrainOptions, "the measured run").options
        # One process measures, however many will train; and no step of the measuring may be its last.
        train = options.train.model_copy(update={"total_iter": ENDLESS})
        self.total_iter = options.train.total_iter
        self.options = options.model_copy(update={"dist": False, "train": train})
        quiet = Logbook(quiet=True)
        self.sets: dict[str, ImageSet] = {key: open_dataset(self.options, key, quiet) for key in self.options.datasets}
        self.device = start_runtime(self.options)[0].device.type
        self.run_s = 0.0
        self.trained, self.trained_s = 0, 0.0

    def run(self) -> None:
        """Do every step of the job."""
        self._fit()
        self._choose(CANDIDATES.get(self.device, ()))
        if self.job["crops"]:
            self._choose_crop()
        if self.job["rates"]:
            self._find_rate()
        pace = measure_pace(self.options, self.sets, self.job["workers"], self.job["decoded_mb"], self.say)
        if self.trained and not pace.workers:
            # The trials are the longer look: a machine that does other things for a few seconds does not decide alone.
            pace.it_per_s = (self.trained + pace.trained) / (self.trained_s + pace.trained_s)
        self.found("pace", pace.as_dict())
        self.run_s = self.job["run_s"] or self.total_iter / pace.it_per_s
        if self.run_s >= COMPILE_FROM_S:
            self._write({"optional": True})
            self._choose((COMPILED,))
            if self.options.use_compile:
                again = measure_pace(self.options, self.sets, [pace.workers], self.job["decoded_mb"], self.say)
                again.decode_s = pace.decode_s
                self.found("pace", again.as_dict())

    def say(self, text: str) -> None:
        """Tell what is going on."""
        self._write({"say": text})

    def found(self, what: str, value: Any) -> None:
        """Tell a result."""
        self._write({"found": what, "value": value})

    def _write(self, message: dict[str, Any]) -> None:
        self.out.write(json.dumps(message) + "\n")
        self.out.flush()

    def _fit(self) -> None:
        tile = fitting_tile(self.options, self.sets, tuple(self.job["validated"]), self.say)
        if tile != self.options.val.tile_size:
            self.found("tile", tile)
            val = self.options.val.model_copy(update={"tile_size": tile})
            self.options = self.options.model_copy(update={"val": val})
        fit = largest_fit(self.options, self.sets, lambda fit: self.found("fit", asdict(fit)), self.say)
        if fit is None:
            self.found("fit", None)
            sys.exit(0)
        self.found("fit", asdict(fit))
        data = self.options.datasets["train"]
        batch = data.batch_size_per_gpu * data.accum_iter
        changes = {"batch_size_per_gpu": fit.size, "accum_iter": batch // fit.size}
        train = data.model_copy(update=changes)
        self.options = self.options.model_copy(update={"datasets": self.options.datasets | {"train": train}})

    def _choose(self, candidates: tuple[Any, ...]) -> None:
        wanted = tuple(one for one in candidates if not set(one.changes) & set(self.job["given"]))
        for result, options in compare_settings(self.options, self.sets, wanted, self.say, self._is_worth):
            self.options = options
            self.found("setting", result.as_dict())

    def _choose_crop(self) -> None:
        """Take smaller crops where a budget would leave few iterations with the usual ones."""
        steps = {}
        side = 0
        for side in self.job["crops"]:
            self.say(f"measuring a step with crops of {side}")
            data = self.options.datasets["train"]
            train = data.replace(lq_size=side)
            self.options = self.options.model_copy(update={"datasets": self.options.datasets | {"train": train}})
            steps[side] = seconds_per_step(self.options, self.sets)
            if self.job["run_s"] / steps[side] >= ENOUGH_ITERATIONS:
                break
        self.sets["train"] = open_dataset(self.options, "train", Logbook(quiet=True))  # which cuts the crops
        self.found("crop", {"side": side, "steps": list(steps.items())})

    def _is_worth(self, result: Comparison) -> bool:
        if "use_compile" not in result.changes:
            return True
        # Validation is compiled too, for the shapes of its images.
        return 3 * result.first_step_s < self.run_s * (1 - 1 / result.ratio)

    def _find_rate(self) -> None:
        probe = Bench(self._at_rate(self.job["rates"][0][0]), self.sets)
        probe.train(2)
        step_s = statistics.median(probe.train(1) for _ in range(PROBED))
        probe.score()
        started = time.perf_counter()
        probe.score()
        score_s = time.perf_counter() - started
        rates, length = self._affordable(step_s, score_s)
        probe.close()
        if not length:
            self.found("rates", {"scores": [], "lengths": [], "best": None, "seconds": 0.0})
            return
        release(self.options, probe)
        started = time.perf_counter()
        limit = started + LATE * self.job["rate_seconds_at_most"]
        trials: list[Bench] = []

        def start(rate: float) -> Bench:
            trials.append(Bench(self._at_rate(rate, length), self.sets))
            return trials[-1]

        try:
            outcome = halve(rates, length, start, self.say, lambda: time.perf_counter() > limit)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            outcome = Outcome()  # several trainings at once need more memory than one
        self.trained = sum(trial.trained for trial in trials)
        self.trained_s = sum(trial.trained_s for trial in trials)
        scores = [[rate, scores] for rate, scores in outcome.scores.items()]
        seconds = time.perf_counter() - started
        self.found("rates", {"scores": scores, "lengths": outcome.lengths, "best": outcome.best, "seconds": seconds})

    def _affordable(self, step_s: float, score_s: float) -> tuple[list[float], int]:
        """Return the rates to try and the length of the first round: all of them, or fewer where time is short."""
        for rates in self.job["rates"]:
            length = first_length(len(rates), self.job["rate_seconds"], step_s, score_s)
            if length:
                return rates, length
        least = self.job["rates"][-1]  # the fewest, and no longer than they have to be
        fits = first_length(len(least), self.job["rate_seconds_at_most"], step_s, score_s)
        return (least, LEAST_ITERATIONS) if fits else ([], 0)

    def _at_rate(self, rate: float, length: int = 10) -> TrainOptions:
        """Return the options of a trial: a rate that rises over the first round and then stays, no helper."""
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
    """Do the job that stdin holds. Every problem of the measured run has been told before, so nothing is caught."""
    warnings.simplefilter("ignore")  # untrained networks are measured, and that is no news
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no message of ours
    started = time.perf_counter()
    job = json.load(sys.stdin)
    measuring = Measuring(job, out)
    measuring.found("ready", time.perf_counter() - started)
    measuring.run()
    measuring.found("done", True)


if __name__ == "__main__":
    main()
