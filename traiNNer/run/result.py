"""What a run leaves behind: its weights files, and what to say of them as the run ends."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from traiNNer.config.options import TrainOptions
from traiNNer.engine.run_folder import best_name, run_folder


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind.

    Args:
        ended: how it ended, in words.
        folder: everything of the run.
        best: the best weights by each metric of the validation, in the order of the options.
        last: the weights of the last checkpoint; None where none was saved.
    """

    ended: str
    folder: Path
    best: dict[str, Path]
    last: Path | None

    @property
    def weights(self) -> Path | None:
        """The weights to use: the best by the first metric, else the last ones."""
        return next(iter(self.best.values()), self.last)

    def lines(self) -> list[str]:
        """Return which weights to use, and the command that uses them."""
        if self.weights is None:
            return []
        by = f"Best weights by {next(iter(self.best))}" if self.best else "Weights of the last checkpoint"
        return [
            f"{by}: {self.weights}",
            f"Next: trainner upscale -m {shlex.quote(str(self.weights))} -i IMAGES -o OUT",
        ]


def result_of(options: TrainOptions, ended: str = "") -> RunResult:
    """Return what the folder of a run holds."""
    folder, ending = run_folder(options), options.logger.save_checkpoint_format
    files = {metric: folder.models / f"{best_name(metric)}.{ending}" for metric in options.val.metrics or ()}
    last = newest(folder.models, "net_g_ema" if options.train.ema_decay else "net_g", ending)
    return RunResult(
        ended,
        folder.root,
        {metric: file for metric, file in files.items() if file.exists()},
        last if last.exists() else None,
    )


def newest(folder: Path, role: str, ending: str) -> Path:
    """Return the weights of a role with the most iterations; without any, where they would be."""
    found = {int(m[1]): file for file in folder.glob("*") if (m := re.fullmatch(rf"{role}_(\d+)\.{ending}", file.name))}
    return found[max(found)] if found else folder / f"{role}.{ending}"
