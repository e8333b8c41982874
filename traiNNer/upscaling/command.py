"""Upscaling many files: each is read, upscaled and written whole; a bad one is named and does not stop the others."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from traiNNer.engine.run_folder import cause
from traiNNer.engine.runtime.device import find_device
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import CannotWrite, OutOfMemory
from traiNNer.imaging.encode import CannotEncode, Encoding, Format, encode
from traiNNer.imaging.image_file import ImageError, read_header, read_seen
from traiNNer.upscaling.film_parts import Codec
from traiNNer.upscaling.image import NotFinite, Picture, Upscaler
from traiNNer.upscaling.network import ReadyNetwork, open_network
from traiNNer.upscaling.places import Job, Jobs, plan_jobs, reason_against
from traiNNer.utils.files import nearest_existing, write_bytes_atomic
from traiNNer.utils.host import free_memory
from traiNNer.utils.printable import printable
from traiNNer.utils.upscaling import Tiling

TILE, OVERLAP = 512, 32
"""Side and context of tiles in LQ pixels: a tile of this size fits nearly everywhere, and larger ones save little."""
MOST_NAMED = 10
"""Images that failed which the last line names; each was named when it failed."""
BYTES_PER_VALUE = 14
"""Of the whole output, in host memory at once: float32 tiles put together, clamped, rounded, and the file's pixels."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Args:
        model: weights or ONNX file.
        inputs: files, folders, patterns.
        output: a folder, or a file for a single one.
        format: of the files written; None: by the output's name, else PNG.
        quality: of JPEG and WebP, 1 to 100.
        overwrite: write again what exists.
        scale: of the network, for a file that does not record it.
        tile: side of the tiles in LQ pixels; 0: whole images, as far as they fit into memory.
        overlap: context of a tile on every side in LQ pixels.
        use_cpu: compute on the CPU whatever devices there are.
        codec: of a film that is written.
        crf: its quality, 0 to 51: the lower, the better; ffv1 loses nothing.
    """

    model: Path
    inputs: Sequence[str]
    output: Path
    format: Format | None = None
    quality: int = 95
    overwrite: bool = False
    scale: int | None = None
    tile: int = TILE
    overlap: int = OVERLAP
    use_cpu: bool = False
    codec: Codec = "h264"
    crf: int = 16


class Refused(ValueError):
    """An image that is not upscaled; the text is the reason."""


@dataclass
class Tally:
    """What became of the images, and how fast."""

    failed: list[str] = field(default_factory=list)
    done: int = 0
    pixels: int = 0
    seconds: float = 0.0

    def text(self, skipped: int) -> str:
        """Return the last line."""
        text = f"upscaled {self.done:,} image{'s' * (self.done != 1)}"
        if self.done:
            text += f" ({self.pixels / 1e6:,.1f} Mpx, {self.pixels / 1e6 / max(self.seconds, 1e-9):,.2f} Mpx/s)"
        if skipped:
            text += f"; skipped {skipped:,} that exist (--overwrite writes them again)"
        if self.failed:
            more = f" and {len(self.failed) - MOST_NAMED:,} more" if len(self.failed) > MOST_NAMED else ""
            text += f"; {len(self.failed):,} failed: {', '.join(self.failed[:MOST_NAMED])}{more}"
        return text


def open_runtime(use_cpu: bool = False) -> Runtime:
    """Return where images are upscaled: the device that a run would take by itself, in float32."""
    import torch

    if use_cpu:
        return Runtime(torch.device("cpu"), f"Device: CPU, {torch.get_num_threads()} threads (--cpu)")
    device = find_device()
    return Runtime(device.handle, f"Device: {device.name} ({device.why})")


def run_upscale(request: Request) -> int:
    """Upscale files and say what was done. Returns the exit code: 1 where an image failed.

    Raises:
        ConfigError: the weights file cannot be used.
        DataError: an input does not exist or holds no images.
        CannotWrite: the output folder cannot be written.
    """
    plan = plan_jobs(request.inputs, request.output, request.format)
    say(plan.notes)
    todo = [job for job in plan.jobs if _is_due(job, plan, request.overwrite)]
    tally, skipped = Tally(), len(plan.jobs) - len(todo)
    if todo:
        require_writable(plan.folder)
        network = open_network(request.model, open_runtime(request.use_cpu), request.scale)
        say([f"{network.name}, {network.scale}x. {network.runtime.about}"])
        upscaler = Upscaler(network, Tiling(request.tile, request.overlap))
        encoding = Encoding(plan.format, request.quality)
        for number, job in enumerate(todo, 1):
            _try(job, plan, upscaler, encoding, tally, f"[{number}/{len(todo)}] {job.source}")
    say([tally.text(skipped)])
    return 1 if tally.failed else 0


def _is_due(job: Job, plan: Jobs, overwrite: bool) -> bool:
    """Whether a job is tried: also where it must not be done, which is said then."""
    return overwrite or not os.path.lexists(job.target) or bool(reason_against(job, plan))


def _try(job: Job, plan: Jobs, upscaler: Upscaler, encoding: Encoding, tally: Tally, shown: str) -> None:
    started, tile = perf_counter(), upscaler.tiling.size
    try:
        if reason := reason_against(job, plan):
            raise Refused(reason)
        size, pixels = _upscale(job, upscaler, encoding)
    except (ImageError, CannotEncode, Refused, NotFinite, OutOfMemory) as error:
        reason = error.reason if isinstance(error, ImageError) else str(error)
        sys.stderr.write(printable(f"{shown}: failed: {reason}\n"))
        tally.failed.append(str(job.source))
        return
    except OSError as error:
        raise CannotWrite(f"Cannot write {job.target} ({cause(error)}).") from None
    seconds = perf_counter() - started
    tally.done, tally.pixels, tally.seconds = tally.done + 1, tally.pixels + pixels, tally.seconds + seconds
    smaller = (
        f"; from now on in tiles of {upscaler.tiling.size}, to fit into memory" if upscaler.tiling.size != tile else ""
    )
    say([f"{shown}: {size}, {seconds:.1f} s{smaller}"])


def _upscale(job: Job, upscaler: Upscaler, encoding: Encoding) -> tuple[str, int]:
    """Read, upscale and write one image. Returns its sizes in words, and the pixels that were made."""
    header = read_header(job.source)
    _require_memory(header.width, header.height, upscaler.network)
    seen, header = read_seen(job.source)
    opacity = None if seen.opacity is None or _is_opaque(seen.opacity) else seen.opacity
    result = upscaler(Picture(seen.colors[:, :, 0] if header.is_gray else seen.colors, opacity))
    colors, opacity = result.colors, result.opacity
    height, width = colors.shape[:2]
    text = f"{header.width}x{header.height} -> {width}x{height}"
    if colors.dtype == np.uint16 and not encoding.has_sixteen_bits:
        colors, opacity = _eight_bits(colors), None if opacity is None else _eight_bits(opacity)
        text += f" (16 bits are written as 8: {encoding.format} has no more)"
    write_bytes_atomic(job.target, encode(colors, opacity, encoding))
    return text, width * height


def _is_opaque(opacity: np.ndarray) -> bool:
    return bool((opacity == np.iinfo(opacity.dtype).max).all())


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return np.round(image / 257).astype(np.uint8)


def _require_memory(width: int, height: int, network: ReadyNetwork) -> None:
    needed, free = 3 * width * height * network.scale**2 * BYTES_PER_VALUE, free_memory()
    if free is not None and needed > free:
        raise Refused(
            f"{width}x{height} upscaled {network.scale}x needs about {needed / 1e9:,.1f} GB of memory, "
            f"{free / 1e9:,.1f} GB are free: cut the image into parts"
        )


def require_writable(folder: Path) -> None:
    """Raise `CannotWrite` where a folder cannot be written or made."""
    near = nearest_existing(folder)
    step = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), near)
    if not step.is_dir():
        raise CannotWrite(f"Cannot write to {folder} ({step} is a file).")
    if not os.access(near, os.W_OK | os.X_OK):
        raise CannotWrite(f"Cannot write to {folder} (no permission to write in {near}).")


def say(lines: Iterable[str]) -> None:
    """Print lines at once."""
    for line in lines:
        print(printable(line), flush=True)
