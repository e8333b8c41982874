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
AUTO, PYTORCH = "auto", "pytorch"

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
    from traiNNer.engine.runtime.launch import is_rank, launch
    from traiNNer.engine.signals import listen

    if args.launcher == AUTO and not is_rank() and (ranks := _ranks(args)) > 1:
        return launch(_repeated(args), ranks, listen)
    return run_guarded(lambda book: _train(args, book, lambda: perf_counter() - started), args.quiet, args.verbose)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a training."""
    add_option_file(parser)
    parser.add_argument(
        "--launcher",
        choices=("none", AUTO, PYTORCH),
        default="none",
        help="auto: start one process per device when num_gpu is above 1; pytorch: insist on those of torchrun, "
        "which are used in any case",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--auto_resume", action="store_true", help="continue from the newest complete state")
    start.add_argument("--overwrite", action="store_true", help="start anew; the old run is kept under another name")


def _ranks(args: argparse.Namespace) -> int:
    """Return how many processes the option file asks for; 1 for one with mistakes, which a single one reports."""
    from traiNNer.config.load import load_options
    from traiNNer.config.options import TrainOptions
    from traiNNer.config.stages import has_stages, load_stages
    from traiNNer.engine.runtime.launch import wanted_ranks
    from traiNNer.errors import RunError

    try:
        if has_stages(args.opt):
            options = load_stages(args.opt, args.set, network_of=network_of)[0].loaded.options
        else:
            options = load_options(args.opt, TrainOptions, args.set, network_of).options
    except RunError:
        return 1
    return wanted_ranks(options.num_gpu)


def _repeated(args: argparse.Namespace) -> list[str]:
    """Return the command line of every rank."""
    flags = [f"--{name}" for name in ("check", "auto_resume", "overwrite", "quiet", "verbose") if getattr(args, name)]
    return ["train", "-opt", str(args.opt), *(part for text in args.set for part in ("--set", text)), *flags]


def _train(args: argparse.Namespace, book: "Logbook", clock: Callable[[], float]) -> str:
    from traiNNer.config.load import load_options
    from traiNNer.config.options import TrainOptions
    from traiNNer.config.stages import has_stages
    from traiNNer.engine.runtime.launch import rank_of_process, restarts

    book.speak_for(rank_of_process())
    overwrite = args.overwrite and not restarts()  # what to keep was set aside by the first start
    resumes = args.auto_resume or restarts() > 0
    overrides = [*args.set, *(["auto_resume=true"] if resumes else [])]
    overrides += ["dist=true"] if args.launcher == PYTORCH else []
    if has_stages(args.opt):
        from traiNNer.run.stages import train_stages

        return train_stages(
            args.opt, overrides, book, check=args.check, overwrite=overwrite, clock=clock, network_of=network_of
        )
    loaded = load_options(args.opt, TrainOptions, overrides, network_of)
    if args.verbose:
        book.info(loaded.effective())

    # Only now: it imports torch, and a file with mistakes need not wait for that.
    from traiNNer.run.result import result_of
    from traiNNer.run.train import train

    reason = train(loaded, book, check=args.check, overwrite=overwrite, clock=clock)
    if not args.check:
        book.info_all(result_of(loaded.options).lines())
    return reason
