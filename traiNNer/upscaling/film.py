"""Upscaling a film: frame by frame, or with the window of a network of clips; sound and timing are kept."""

import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.film import FILM_SUFFIXES, is_film
from traiNNer.imaging.image_file import ImageError
from traiNNer.upscaling.command import Request, open_runtime, require_writable, say
from traiNNer.upscaling.film_parts import FRAMES, Encoder, Parts
from traiNNer.upscaling.film_source import FilmSource
from traiNNer.upscaling.image import NotFinite, Upscaler
from traiNNer.upscaling.network import ReadyNetwork, open_network
from traiNNer.utils.durations import duration
from traiNNer.utils.files import is_folder, sha256_of
from traiNNer.utils.printable import printable
from traiNNer.utils.pyav import PYAV
from traiNNer.utils.upscaling import Tiling

USUAL_CONTAINER = ".mkv"


def run_film(request: Request) -> int:
    """Upscale a film and say what was done. Returns the exit code: 1 where it cannot be read, or not completely.

    Raises:
        ConfigError: PyAV is not installed, or options or the weights file cannot be used.
        DataError: the film does not exist.
        CannotWrite: the output cannot be written.
    """
    source, target = _places(request)
    if not PYAV.is_met:
        raise ConfigError(f"{source}: upscaling a film {PYAV.reason}")
    if os.path.lexists(target) and not request.overwrite:
        say([f"{target} exists: skipped (--overwrite writes it again)"])
        return 0
    require_writable(target.parent)
    try:
        film = FilmSource(source)
        network = open_network(request.model, open_runtime(request.use_cpu), request.scale)
        return _upscale(request, film, network, target)
    except (ImageError, NotFinite) as error:
        sys.stderr.write(printable(f"{error}\n"))
        return 1


def _places(request: Request) -> tuple[Path, Path]:
    """Return the film and where its result is written."""
    if len(request.inputs) != 1 or not is_film(request.inputs[0]):
        raise ConfigError(f"-i {' '.join(request.inputs)}: a film is upscaled by itself: name one film and no images")
    source, target = Path(request.inputs[0]).expanduser(), request.output
    if not source.is_file():
        raise DataError(f"-i {source}: no such film.")
    if is_folder(target) or not target.suffix:
        target = target / f"{source.stem}{USUAL_CONTAINER}"
    if not is_film(target):
        raise ConfigError(f"-o {target} cannot be written as a film; endings: {', '.join(FILM_SUFFIXES)}")
    if request.format is not None:
        raise ConfigError("--format is for images; a film is written as the ending of -o says")
    if target.exists() and target.samefile(source):
        raise ConfigError(f"-o {target} is the film itself: name another file")
    return source, target


def _upscale(request: Request, film: FilmSource, network: ReadyNetwork, target: Path) -> int:
    upscaler = Upscaler(network, Tiling(request.tile, request.overlap))
    seen = f", which sees {network.frames} frames at once" if network.frames > 1 else ""
    say([f"{network.name}, {network.scale}x{seen}. {network.runtime.about}"])
    parts = Parts(target, _about(request, film, network))
    done = parts.begin()
    if done:
        say([f"going on after {done * FRAMES:,} frames, which are in {parts.folder}"])
    else:
        say([f"{parts.folder} keeps what is done: after an interruption the same command continues"])
    encoder = Encoder(request.codec, request.crf, film.look)
    count, made = _write_parts(parts, done, film, upscaler, encoder)
    notes = list(film.notes)
    kept = parts.finish(-(-count // FRAMES), film.path, film.look.time_base, notes.append)
    say([f"{film.path}: {note}" for note in notes])
    say([f"{target}: {count:,} frames{made}; kept: {kept}"])
    if film.broken:
        sys.stderr.write(
            printable(f"{film.path}: {film.broken:,} parts of the film are damaged; frames may be missing there\n")
        )
    return 1 if film.broken else 0


def _write_parts(parts: Parts, done: int, film: FilmSource, upscaler: Upscaler, encoder: Encoder) -> tuple[int, str]:
    """Write the parts that are missing. Returns how many frames the film has, and in words how quickly they came."""
    windows, started, pixels, count = film.windows(upscaler.network.frames), perf_counter(), 0, 0
    for _ in islice(windows, done * FRAMES):
        count += 1
    before = count
    while first := next(windows, None):

        def frames(first: tuple[int, list[np.ndarray]] = first) -> Iterator[tuple[int, np.ndarray]]:
            nonlocal count, pixels
            for time, clip in _chained(first, islice(windows, FRAMES - 1)):
                image = upscaler.frame(clip)
                count, pixels = count + 1, pixels + image.shape[0] * image.shape[1]
                yield time, image

        parts.write(count // FRAMES, frames(), encoder)
        say([_progress(count, film.frames, count - before, perf_counter() - started)])
    if count == 0:
        raise ImageError(film.path, "holds no frames that can be decoded")
    seconds = max(perf_counter() - started, 1e-9)
    if count == before:
        return count, ""
    return count, f" ({pixels / 1e6:,.1f} Mpx, {(count - before) / seconds:,.2f} frames/s)"


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _progress(count: int, total: int, made: int, seconds: float) -> str:
    """Return how far it is; the number of frames that a film names is only about right."""
    speed = made / max(seconds, 1e-9)
    if total <= count:
        return f"{count:,} frames, {speed:,.2f} frames/s"
    return f"{count:,} of about {total:,} frames, {speed:,.2f} frames/s, {duration((total - count) / speed)} left"


def _about(request: Request, film: FilmSource, network: ReadyNetwork) -> dict[str, Any]:
    """Return what decides the bits of the result, so that parts of another one are not taken for it."""
    status = film.path.stat()
    return {
        "source": [film.path.name, status.st_size, status.st_mtime_ns],
        "weights": sha256_of(request.model.expanduser()),
        "scale": network.scale,
        "tiles": [request.tile, request.overlap],
        "codec": [request.codec, request.crf],
        "frames": FRAMES,
    }
