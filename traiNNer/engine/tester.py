"""Testing a weights file on any number of sets: images, `metrics.json` and a table with bicubic beside it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from traiNNer.engine.logbook import Logbook
from traiNNer.engine.validation import Evaluation, Scores
from traiNNer.models.protocol import Upscaler
from traiNNer.utils.files import write_bytes_atomic


class Tester:
    """Runs every evaluation once and writes `<folder>/metrics.json` and, if asked for, the images."""

    def __init__(self, folder: Path, evaluations: Sequence[Evaluation], logbook: Logbook, save_images: bool) -> None:
        self.folder = folder
        self.evaluations = evaluations
        self.logbook = logbook
        self.save_images = save_images

    def run(self, upscale: Upscaler) -> dict[str, Any]:
        """Test and return what `metrics.json` holds: `{set: {"mean": {…}, "images": {file: {…}}}}`."""
        results = {evaluation.name: self._evaluate(evaluation, upscale) for evaluation in self.evaluations}
        record = {
            name: {"mean": _plain(scores.mean()), "images": {key: _plain(v) for key, v in scores.images.items()}}
            for name, scores in results.items()
        }
        write_bytes_atomic(self.folder / "metrics.json", json.dumps(record, indent=2, ensure_ascii=False).encode())
        self._show(results)
        return record

    def _evaluate(self, evaluation: Evaluation, upscale: Upscaler) -> Scores:
        place = None
        if self.save_images:

            def place(key: str) -> Path:
                return self.folder / evaluation.name / f"{key}.png"

        self.logbook.info(f"{evaluation.name}: {len(evaluation.dataset)} images")
        return evaluation.run(upscale, place)

    def _show(self, results: dict[str, Scores]) -> None:
        names = sorted({name for scores in results.values() for name in scores.mean() if not name.endswith("_bicubic")})
        table = Table("set", "images")
        for name in names:
            for title in (name, "bicubic", "gain"):
                table.add_column(title, justify="right")
        for title, scores in results.items():
            table.add_row(title, str(len(scores.images)), *_cells(scores.mean(), names))
        self.logbook.console.print(table)
        self.logbook.info(f"Written: {self.folder / 'metrics.json'}")


def _cells(mean: dict[str, float], names: Sequence[str]) -> list[str]:
    cells = []
    for name in names:
        value, baseline = mean.get(name), mean.get(f"{name}_bicubic")
        cells.append("–" if value is None else f"{value:.4f}")
        cells.append("–" if baseline is None else f"{baseline:.4f}")
        cells.append("–" if value is None or baseline is None else f"{value - baseline:+.4f}")
    return cells


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no infinity (the PSNR of equal images): it is written as null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
