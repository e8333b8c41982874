"""Testing a weights file on any number of sets: images, `metrics.json` and a table with bicubic beside it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.text import Text

from traiNNer.engine.evaluation.ahead import ImageWriter
from traiNNer.engine.evaluation.evaluation import Evaluation, Scores
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import cause
from traiNNer.errors import CannotWrite, OutOfMemory
from traiNNer.models.protocol import Upscaler
from traiNNer.utils.files import write_bytes_atomic
from traiNNer.utils.printable import printable_name
from traiNNer.utils.rows import FoldingTable

USUAL_TILE = 256


class Tester:
    """Runs every evaluation once and writes `<folder>/metrics.json` and, if asked for, the images."""

    def __init__(self, folder: Path, evaluations: Sequence[Evaluation], logbook: Logbook, save_images: bool) -> None:
        self.folder = folder
        self.evaluations = evaluations
        self.logbook = logbook
        self.save_images = save_images
        self.done = 0

    def run(self, upscale: Upscaler) -> dict[str, Any]:
        """Test and return what `metrics.json` holds: `{set: {"mean": {…}, "images": {file: {…}}}}`.

        A file is the output image, as a path below the set's folder, whether it is written or not.

        Raises:
            CannotWrite: naming the folder and the cause.
            OutOfMemory: naming the image, and smaller tiles.
        """
        total = sum(len(evaluation.dataset) for evaluation in self.evaluations)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.logbook.start_progress(total, 0)
            results = {evaluation.name: self._evaluate(evaluation, upscale) for evaluation in self.evaluations}
            self.logbook.stop_progress()
            record = {name: _record(scores) for name, scores in results.items()}
            write_bytes_atomic(
                self.folder / "metrics.json",
                json.dumps(record, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace"),
            )
        except OSError as error:
            raise CannotWrite(f"Cannot write to {self.folder} ({cause(error)}).") from None
        self._show(results)
        self.logbook.warn_all([f"{name}: {text}" for name, scores in results.items() for text in scores.notices()])
        if self.save_images:
            self.logbook.warn_all(
                [_less_deep(name, len(scores.deep)) for name, scores in results.items() if scores.deep]
            )
        return record

    def _evaluate(self, evaluation: Evaluation, upscale: Upscaler) -> Scores:
        def keep(key: str, output: np.ndarray) -> None:
            if self.save_images:
                writer.write(self.folder / evaluation.name / f"{key}.png", output)
            self.done += 1
            self.logbook.advance(self.done, f"{evaluation.name}: {key}")

        begun: list[str] = []
        self.logbook.info(f"{evaluation.name}: {len(evaluation.dataset)} images")
        writer = ImageWriter()
        try:
            with writer:
                scores = evaluation.run(upscale, keep, lambda: begun.append(evaluation.dataset.describe(len(begun))))
        except (RuntimeError, MemoryError) as error:
            if not evaluation.runtime.ran_out_of_memory(error):
                raise
            raise _too_large(evaluation, begun[-1], str(error)) from None
        for _, error in writer.failed:
            raise error
        return scores

    def _show(self, results: dict[str, Scores]) -> None:
        """Show a row for each metric of each set: whatever their number, no score is cut off."""
        table = FoldingTable(box=SIMPLE_HEAD, pad_edge=False)
        for title in ("set", "images", "metric", "score", "bicubic", "gain"):
            table.add_column(title, justify="left" if title in ("set", "metric") else "right")
        for title, scores in results.items():
            first = (title, str(len(scores.images)))
            for row in _rows(scores.mean()):
                table.add_row(*(Text(printable_name(cell)) for cell in (*first, *row)))
                first = ("", "")
        self.logbook.console.print(table)
        self.logbook.info(f"Written: {self.folder / 'metrics.json'}")


def _rows(mean: dict[str, float]) -> list[tuple[str, str, str, str]]:
    """Return metric, score, score of bicubic upscaling, and what is gained, of every metric."""
    rows = []
    for name in sorted(name for name in mean if not name.endswith("_bicubic")):
        value, baseline = mean[name], mean.get(f"{name}_bicubic")
        compared = ("–", "–") if baseline is None else (f"{baseline:.4f}", f"{value - baseline:+.4f}")
        rows.append((name, f"{value:.4f}", *compared))
    return rows or [("–", "–", "–", "–")]


def _too_large(evaluation: Evaluation, image: str, said: str) -> OutOfMemory:
    smaller = evaluation.tile_size // 2 or USUAL_TILE
    way = f"in tiles of {evaluation.tile_size} LQ pixels" if evaluation.tile_size else "as a whole"
    return OutOfMemory(
        f"{evaluation.name}: out of memory, this image is too large {way}: {image}. "
        f"Set val.tile_size: {smaller}.\n{said}"
    )


def _less_deep(name: str, count: int) -> str:
    return f"{name}: {count} images have 16 bits, which the network used; results are scored and written with 8 bits."


def _record(scores: Scores) -> dict[str, Any]:
    images = {f"{key}.png": _plain(values) for key, values in scores.images.items()}
    return {"mean": _plain(scores.mean()), "images": images}


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no infinity (the PSNR of equal images): it is written as null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
