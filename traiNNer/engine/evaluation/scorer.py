"""A validation: score every set, write it down, keep the weights that scored best."""

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from traiNNer.engine.checkpoint.saver import Saver
from traiNNer.engine.evaluation.ahead import ImageWriter
from traiNNer.engine.evaluation.best import BestScores
from traiNNer.engine.evaluation.drift import DriftWatch
from traiNNer.engine.evaluation.evaluation import Evaluation, EvaluationStopped, Scores
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import cause
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.signals import StoppedWaiting
from traiNNer.errors import MetricError, OutOfMemory, RunError

Reading = Callable[[], AbstractContextManager[None]]
DEALT = 4
"""Neighboring images that one rank gets together where those of one size are computed together; else one."""
PlaceImage = Callable[[str, str, int], Path]


@dataclass(frozen=True)
class Share:
    """What one rank found: the scores of its images by set, what ended it, and the tiles that it took in each set."""

    scores: dict[str, Scores]
    error: EvaluationStopped | RunError | None
    tiles: list[int]


class Scorer:
    """Scores the network that is shipped: the EMA of the weights where there is one.

    Args:
        network: to be scored.
        role: under which its weights are saved, `net_g` or `net_g_ema`.
        evaluations: the validation sets.
        best: the best scores so far.
        saver: keeps the best weights.
        runtime: device and precision.
        logbook: where scores are written.
        place_image: the file of an output image; None saves none.
        halves_tiles: whether a validation that runs out of memory is done again in smaller tiles.
    """

    def __init__(
        self,
        network: nn.Module,
        role: str,
        evaluations: Sequence[Evaluation],
        best: BestScores,
        saver: Saver,
        runtime: Runtime,
        logbook: Logbook,
        place_image: PlaceImage | None = None,
        halves_tiles: bool = False,
    ) -> None:
        self.network = network
        self.role = role
        self.evaluations = evaluations
        self.best = best
        self.saver = saver
        self.logbook = logbook
        self.place_image = place_image
        self.halves_tiles = halves_tiles
        self.runtime = runtime
        self.latest: tuple[int, dict[str, Scores]] | None = None
        """The last validation: its iteration, and what was found on each set."""
        self._upscale = runtime.upscaler(network)
        self._noticed: set[str] = set()
        self._drift_watch = DriftWatch()

    def run(self, iteration: int, is_stopped: Callable[[], bool], reading: Reading = nullcontext) -> dict[str, float]:
        """Score every set and record the scores; nothing is recorded of a validation that is stopped on the way.

        Each rank scores a share of the images; all have to come here. What ends one of them ends all.

        Args:
            iteration: of the weights.
            is_stopped: asked before every image.
            reading: a context around the reading of every image, which may leave a read that hangs.

        Returns:
            On rank 0 the scores as `<set>/<metric>`, and as `val/<metric>` their means over the sets.

        Raises:
            EvaluationStopped: `is_stopped` said so.
            DataError: an image cannot be used, or (`MetricError`) a metric cannot be computed for it.
            OutOfMemory: naming the option that would help.
            CheckpointError: the run's folder is gone.
        """
        started = time.perf_counter()
        shares = self.runtime.gather(self._share(iteration, is_stopped, reading))
        for evaluation, sizes in zip(
            self.evaluations, zip(*(share.tiles for share in shares), strict=True), strict=True
        ):
            evaluation.agree_on_tiles(sizes)
        errors = [share.error for share in shares if share.error is not None]
        if errors:
            raise errors[0]
        results = {one.name: Scores.merged([share.scores[one.name] for share in shares]) for one in self.evaluations}
        seconds = time.perf_counter() - started
        return self._record(results, iteration, seconds) if self.runtime.is_main else {}

    def _share(self, iteration: int, is_stopped: Callable[[], bool], reading: Reading) -> Share:
        """Score this rank's share of the images. What ends it is returned: the other ranks wait for its answer."""
        scores: dict[str, Scores] = {}
        ended: EvaluationStopped | RunError | None = None
        try:
            if self.runtime.is_main:
                self.saver.refuse_lost_folder()
            for one in self.evaluations:
                scores[one.name] = self._evaluate(one, iteration, is_stopped, reading)
        except StoppedWaiting:
            ended = EvaluationStopped()
        except (EvaluationStopped, RunError) as error:
            ended = error
        return Share(scores, ended, [one.tile_size for one in self.evaluations])

    def _evaluate(
        self, evaluation: Evaluation, iteration: int, is_stopped: Callable[[], bool], reading: Reading
    ) -> Scores:
        def stop_if_asked() -> None:
            if is_stopped():
                raise EvaluationStopped

        while True:
            try:
                with evaluating(self.network), self._writing(evaluation, iteration) as keep:
                    count = len(evaluation.dataset)
                    dealt = count if evaluation.is_sequential else min(DEALT, self.runtime.at_once(1))
                    places = self.runtime.share_of(count, dealt)
                    return evaluation.run(self._upscale, keep, stop_if_asked, reading, places)
            # Without a name: the error would keep the tensors of the failed attempt alive.
            except (RuntimeError, MemoryError):
                if not self.runtime.ran_out_of_memory(sys.exception()):
                    raise
                said = str(sys.exception()) or "out of memory"
            self._take_smaller_tiles(evaluation, iteration, said)

    def _take_smaller_tiles(self, evaluation: Evaluation, iteration: int, said: str) -> None:
        if not self.halves_tiles:
            images = f"in tiles of {evaluation.tile_size}" if evaluation.tile_size else "whole"
            raise OutOfMemory(
                f"Out of memory while validating at iteration {iteration:,}: images are taken {images}. Try "
                f"val.tile_size: {max(32, (evaluation.tile_size or 512) // 2)}, or smaller.\n{said}"
            )
        if not evaluation.halve_tiles():
            tiles = f"tiles of {evaluation.tile_size} pixels"
            raise MetricError(f"{evaluation.name}: out of memory even in {tiles} ({said})")
        gc.collect()
        self.runtime.release_memory()
        self.logbook.warn(f"{evaluation.name}: out of memory, continuing in tiles of {evaluation.tile_size} LQ pixels.")

    @contextmanager
    def _writing(self, evaluation: Evaluation, iteration: int) -> Iterator[Callable[[str, np.ndarray], None]]:
        """Give what keeps an output image; in the end all of them are written, or warned of."""
        place = self.place_image
        if place is None:
            yield lambda *_: None
            return
        with ImageWriter() as writer:
            yield lambda key, output: writer.write(place(evaluation.name, key, iteration), output)
        self.logbook.warn_all([f"Could not save {path}: {cause(e)}. Training continues." for path, e in writer.failed])

    def _warn_once(self, texts: Sequence[str]) -> None:
        self.logbook.warn_all([text for text in texts if text not in self._noticed])
        self._noticed.update(texts)

    def _record(self, results: dict[str, Scores], iteration: int, seconds: float) -> dict[str, float]:
        means = {name: scores.mean() for name, scores in results.items()}
        for name, mean in means.items():
            shown = "  ".join(describe_score(metric, mean) for metric in self.best.directions if metric in mean)
            self.logbook.info(f"validation {iteration:,}  {name}: {shown or 'no scores'}  ({seconds:.1f} s)")
        self._warn_once([f"{name}: {text}" for name, scores in results.items() for text in scores.notices()])
        self.logbook.warn_all([text for name, mean in means.items() for text in self._drift_watch.look(name, mean)])
        self.latest = (iteration, results)
        values = {f"val/{name}/{metric}": value for name, mean in means.items() for metric, value in mean.items()}
        self.logbook.event("validation", iteration, values)
        for name, scores in results.items():
            for key, image in scores.strips.items():
                self.logbook.image(f"val/{name}/{key}", image, iteration)
        single = {f"{name}/{metric}": value for name, mean in means.items() for metric, value in mean.items()}
        overall = {
            metric: sum(mean[metric] for mean in means.values()) / len(means)
            for metric in self.best.directions
            if "/" not in metric and all(metric in mean for mean in means.values())
        }
        scores = overall | single
        for metric in self.best.improved(scores):
            # A score whose weights could not be kept would name other weights than the file has.
            if self.saver.save_best(metric, scores[metric], iteration, self.role, self.network.state_dict()):
                self.best.note(metric, scores[metric], iteration)
        return single | {f"val/{metric}": value for metric, value in overall.items()}


def describe_score(metric: str, mean: dict[str, float]) -> str:
    """Return `psnr 31.42 (bicubic 30.10, +1.32)`, or without the bracket where there is no baseline."""
    digits = 2 if abs(mean[metric]) >= 2 else 4
    text = f"{metric} {mean[metric]:.{digits}f}"
    baseline = mean.get(f"{metric}_bicubic")
    if baseline is None:
        return text
    return f"{text} (bicubic {baseline:.{digits}f}, {mean[metric] - baseline:+.{digits}f})"


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a block; every module has its own mode back afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
