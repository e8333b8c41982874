"""Trackers of a run."""

from pathlib import Path

from traiNNer.config.effective import file_form, leaves
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import key_of
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.log.trackers import Trackers


def follow(options: TrainOptions, root: Path, book: Logbook) -> None:
    """Let the trackers that are wanted follow a run, with its options; `root` is the run's folder."""
    flat = {key_of(path): value for path, value in leaves(file_form(options))}
    book.follow(Trackers(options.logger, options.name, root, flat, book.warn))
