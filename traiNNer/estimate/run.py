"""The whole of `trainner estimate`: inspect a folder, print what was found, propose a recipe."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from traiNNer.data.files.folders import images_below
from traiNNer.errors import CannotWrite, DataError
from traiNNer.estimate.picture import Picture, inspect
from traiNNer.estimate.recipe import recipe_text, report_lines
from traiNNer.imaging.image_file import ImageError
from traiNNer.utils.console import PlainConsole
from traiNNer.utils.files import write_bytes_atomic

SHOWN = 5
NOTHING = (
    "Nothing was done to these images that can be seen: they are clean, or degraded in a way that is not known here. "
    "Train on pairs, or on photos alone, without degradations."
)


@dataclass(frozen=True)
class EstimateOptions:
    """What to inspect and what to write.

    Args:
        lq: the folder of the images.
        most: inspect so many of them, evenly chosen.
        output: the file of the recipe; None prints it only.
    """

    lq: Path
    most: int = 200
    output: Path | None = None


def run_estimate(options: EstimateOptions) -> int:
    """Inspect a folder, print estimates and a recipe. Returns the exit code 0.

    Raises:
        DataError: the folder is missing, or has no image that can be used.
        CannotWrite: the file of the recipe exists, or cannot be written.
    """
    if options.output and options.output.exists():
        raise CannotWrite(f"{options.output} exists already: delete it, or name another file with -o.")
    chosen, total = _chosen(options)
    console = PlainConsole(width=200)
    with Progress(console=PlainConsole(stderr=True), transient=True) as progress:
        task = progress.add_task("estimate", total=len(chosen))
        results = _inspect_all(chosen, lambda: progress.advance(task))
    pictures = [result for result in results if isinstance(result, Picture)]
    failed = [result for result in results if isinstance(result, ImageError)]
    if not pictures:
        raise DataError(f"--lq: no image in {options.lq} can be used: {_names(failed)}.")
    console.print(f"{len(pictures)} of {total} images in {options.lq}, each interval holding nine tenths of them")
    for line in report_lines(pictures):
        console.print(f"  {line}")
    if failed:
        console.print(f"left out: {_names(failed)}")
    text = recipe_text(pictures)
    console.print(text.rstrip() if text else NOTHING, soft_wrap=True)
    if options.output and text:
        _write(options.output, text)
        console.print(f"written: {options.output}")
    return 0


def _chosen(options: EstimateOptions) -> tuple[Sequence[Path], int]:
    files = images_below("--lq", options.lq)
    count = min(options.most, len(files))
    return [files[place * len(files) // count] for place in range(count)], len(files)


def _inspect_all(files: Sequence[Path], tick: Callable[[], None]) -> list[Picture | ImageError]:
    def one(path: Path) -> Picture | ImageError:
        try:
            return inspect(path)
        except ImageError as error:
            return error
        finally:
            tick()

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(one, files))


def _names(failed: Sequence[ImageError]) -> str:
    more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    return "; ".join(str(error) for error in failed[:SHOWN]) + more


def _write(file: Path, text: str) -> None:
    try:
        write_bytes_atomic(file, text.encode())
    except OSError as error:
        raise CannotWrite(f"Cannot write {file} ({(error.strerror or '').lower()}).") from None
