"""`trainner train`, which `train.py` is too."""

import argparse
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from traiNNer.cli.option_file import add_option_file, network_of
from traiNNer.cli.parser import Parser

if TYPE_CHECKING:
    from traiNNer.engine.log.logbook import Logbook

ABOUT = "Train a network as one option file says."

EXAMPLE = "trainner train -opt my.yml --set train.total_iter=5000"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("train", help="train a network as one option file says", description=ABOUT)
    add_arguments(parser)
    parser.set_defaults(run=run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `train.py`. Returns the exit code."""
    parser = Parser("train.py", description=ABOUT)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    """Train. Returns the exit code."""
    started = perf_counter()  # imports count too where `train.end_at` ends the run
    from traiNNer.cli.guard import run_guarded

    return run_guarded(lambda book: _train(args, book, lambda: perf_counter() - started), args.quiet, args.verbose)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a training."""
    add_option_file(parser)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--auto_resume", action="store_true", help="continue from the newest complete state")
    start.add_argument("--overwrite", action="store_true", help="start anew; the old run is kept under another name")


def _train(args: argparse.Namespace, book: "Logbook", clock: Callable[[], float]) -> str:
    from traiNNer.config.load import load_options
    from traiNNer.config.options import TrainOptions
    from traiNNer.config.stages import has_stages

    overrides = [*args.set, *(["auto_resume=true"] if args.auto_resume else [])]
    if has_stages(args.opt):
        from traiNNer.run.stages import train_stages

        return train_stages(
            args.opt, overrides, book, check=args.check, overwrite=args.overwrite, clock=clock, network_of=network_of
        )
    loaded = load_options(args.opt, TrainOptions, overrides, network_of)
    if args.verbose:
        book.info(loaded.effective())

    # Only now: it imports torch, and a file with mistakes need not wait for that.
    from traiNNer.run.result import result_of
    from traiNNer.run.train import train

    reason = train(loaded, book, check=args.check, overwrite=args.overwrite, clock=clock)
    if not args.check:
        book.info_all(result_of(loaded.options).lines())
    return reason
