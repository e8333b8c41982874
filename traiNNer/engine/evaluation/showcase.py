"""What the report of a run shows of the last validation: scores by image, and crops of the worst, median and best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traiNNer.engine.evaluation.evaluation import Evaluation, Scores, capped, to_eight_bits
from traiNNer.engine.evaluation.scorer import Scorer, evaluating
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import cause
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.imaging.image_file import write_image
from traiNNer.utils.resize import imresize

SIDE = 192
"""Pixels of a crop."""
MOST_SETS = 3
Place = tuple[slice, slice]


@dataclass(frozen=True)
class Choice:
    """An image that is shown, by its place in the set, and why: `worst`, `median` or `best`."""

    rank: str
    place: int
    key: str


def chosen(scores: Scores, metric: str, is_lower_better: bool) -> list[Choice]:
    """Return the worst, median and best image by a metric; fewer of a set that is smaller. NaN is worst."""
    keys = [key for key, values in scores.images.items() if metric in values]
    values = np.array([capped(scores.images[key][metric]) for key in keys])
    order = np.argsort(np.nan_to_num(-values if is_lower_better else values, nan=-np.inf), kind="stable")
    ranks = {"worst": 0, "best": len(order) - 1, "median": len(order) // 2} if len(order) else {}
    named: dict[int, str] = {}
    for rank, at in ranks.items():
        named.setdefault(int(order[at]), rank)
    places = list(scores.images)
    found = {rank: Choice(rank, places.index(keys[at]), keys[at]) for at, rank in named.items()}
    return [found[rank] for rank in ("worst", "median", "best") if rank in found]


def hardest(output: np.ndarray, target: np.ndarray) -> Place:
    """Return the square in which an H, W, 3 uint8 output differs most from its target."""
    error = cv2.absdiff(output, target).astype(np.float32).mean(axis=2)
    height, width = (min(SIDE, side) for side in error.shape)
    sums = cv2.integral(error)
    means = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(means.argmax()), means.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


class Showcase:
    """Writes the scores of every image into the record, and crops into a folder.

    Args:
        folder: of the crops.
        root: of the run, which the record names the files from.
        runtime: device and precision.
        logbook: where scores and files are told.
    """

    def __init__(self, folder: Path, root: Path, runtime: Runtime, logbook: Logbook) -> None:
        self.folder = folder
        self.root = root
        self.runtime = runtime
        self.logbook = logbook

    def run(self, scorer: Scorer, iteration: int) -> None:
        """Show the validation of an iteration, if there was one; a failure is reported and ends nothing."""
        if scorer.latest is None or scorer.latest[0] != iteration or not scorer.best.directions:
            return
        results = scorer.latest[1]
        directions = {name: way for name, way in scorer.best.directions.items() if "/" not in name}
        sets = {name: scores.images for name, scores in results.items()}
        self.logbook.event("image_scores", iteration, {"better": directions, "sets": sets})
        metric = next(iter(directions or scorer.best.directions)).rsplit("/", 1)[-1]
        is_lower_better = next(iter(scorer.best.directions.values())) == "lower"
        images: list[dict[str, Any]] = []
        try:
            with self.runtime.memory_apart(), self.runtime.inference_with_saved_rng(), evaluating(scorer.network):
                for number, evaluation in enumerate(scorer.evaluations[:MOST_SETS], 1):
                    scores = results[evaluation.name]
                    choices = chosen(scores, metric, is_lower_better)
                    images += self._examples(scorer, evaluation, scores, metric, choices, number)
        except Exception as error:  # a set or a network may be somebody else's, and the training is done
            text = cause(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            self.logbook.warn(f"No example images for the report: {text}.")
        self.logbook.event("examples", iteration, {"images": images})

    def _examples(
        self,
        scorer: Scorer,
        evaluation: Evaluation,
        scores: Scores,
        metric: str,
        choices: Sequence[Choice],
        number: int,
    ) -> Iterator[dict[str, Any]]:
        if len(evaluation.dataset) != len(scores.images):  # clips: one sample is many images
            return
        for choice in choices:
            sample = evaluation.dataset.whole(choice.place)
            if sample.lq is None or sample.middle is None or sample.gt is None:
                continue
            target = to_eight_bits(sample.gt)
            output = evaluation.output(self.runtime.upscaler(scorer.network), sample.lq)
            bicubic = to_eight_bits(imresize(sample.middle, size=target.shape[:2]))
            crops = {"output": output, "bicubic": bicubic, "gt": target}
            files = self._write(crops, hardest(output, target), f"{number}_{choice.rank}")
            values = scores.images[choice.key]
            about = {"set": evaluation.name, "key": choice.key, "rank": choice.rank, "metric": metric}
            yield about | {"score": values[metric], "bicubic": values.get(f"{metric}_bicubic"), "files": files}

    def _write(self, images: Mapping[str, np.ndarray], place: Place, name: str) -> dict[str, str]:
        files = {part: self.folder / f"{name}_{part}.png" for part in images}
        for part, file in files.items():
            write_image(file, np.ascontiguousarray(images[part][place]))
        return {part: file.relative_to(self.root).as_posix() for part, file in files.items()}
