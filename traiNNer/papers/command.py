"""Benchmarking a network: bicubic upscaling first, then the network, then what was published."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traiNNer.errors import ConfigError
from traiNNer.export.command import LARGEST_SCALE
from traiNNer.export.source import Source, open_source
from traiNNer.papers.cost import measure
from traiNNer.papers.images import parse_set
from traiNNer.papers.scores import build_metrics, score_set
from traiNNer.papers.tables import Result, as_json, bicubic_notes, sheets
from traiNNer.report.formats import fitted, latex, markdown
from traiNNer.upscaling.command import open_runtime
from traiNNer.upscaling.image import Picture, Upscaler
from traiNNer.upscaling.network import ReadyNetwork, open_network
from traiNNer.utils.files import write_bytes_atomic
from traiNNer.utils.printable import printable
from traiNNer.utils.rows import terminal_width
from traiNNer.utils.upscaling import Tiling

WRITERS: Mapping[str, Callable[[Result], str]] = {
    ".json": lambda result: json.dumps(as_json(result), indent=1),
    ".md": lambda result: markdown(sheets(result)),
    ".tex": lambda result: latex(sheets(result)),
}


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Args:
        model: weights or ONNX file.
        sets: `NAME=FOLDER` texts.
        outputs: files to be written, `.json`, `.md` or `.tex`.
        scale: of the network, for a file that does not record it.
        tile: side of tiles in LQ pixels; 0: whole images, which papers use.
        use_cpu: compute on the CPU whatever devices there are.
    """

    model: Path
    sets: Sequence[str]
    outputs: Sequence[Path] = ()
    scale: int | None = None
    tile: int = 0
    use_cpu: bool = False


def run_benchmark(request: Request) -> Result:
    """Measure, print the tables, and write the files that were asked for.

    Raises:
        ConfigError: the network or what was asked for cannot be used.
        DataError: a set cannot be used.
        OSError: a file cannot be written.
    """
    unknown = [path for path in request.outputs if path.suffix.lower() not in WRITERS]
    if unknown:
        raise ConfigError(f"-o {unknown[0]}: the name must end in {', '.join(WRITERS)}")
    if request.scale is not None and not 1 <= request.scale <= LARGEST_SCALE:
        raise ConfigError(f"--scale must be from 1 to {LARGEST_SCALE}, not {request.scale}")
    chosen = [parse_set(text) for text in request.sets]
    twice = [one.name for one in chosen if [other.name for other in chosen].count(one.name) > 1]
    if twice:
        raise ConfigError(f"--set {twice[0]} is given twice")
    network = open_network(request.model, open_runtime(request.use_cpu), request.scale)
    if network.frames > 1:
        raise ConfigError(
            f"{network.name} takes clips of {network.frames} frames, and the papers' sets are single images: "
            "trainner test scores it on clips"
        )
    source = _source(request, network)
    metrics, missing = build_metrics(network.scale)
    _say(f"{network.name}, {network.scale}x. {network.runtime.about}")
    for line in missing:
        _say(line)
    upscaler = Upscaler(network, Tiling(request.tile, 32))
    found = []
    for one in chosen:
        found.append(score_set(one, network.scale, _whole(upscaler), metrics))
        _say(f"{one.name}: {found[-1].count} images, {found[-1].network['psnr_y']:.2f} dB")
    arch = source.arch if isinstance(source, Source) else "ONNX"
    result = Result(network.name, arch, network.scale, found, measure(network, source), missing)
    for note in bicubic_notes(result):
        _say(f"Warning: {note}")
    print(printable("\n" + fitted(sheets(result), terminal_width())), flush=True)
    for path in request.outputs:
        write_bytes_atomic(path, WRITERS[path.suffix.lower()](result).encode("utf-8", "replace"))
        _say(f"Written: {path}")
    return result


def _source(request: Request, network: ReadyNetwork) -> Source | Path:
    path = request.model.expanduser()
    return path if path.suffix.lower() == ".onnx" else open_source(path, network.scale)


def _whole(upscaler: Upscaler) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: upscaler(Picture(image)).colors


def _say(line: str) -> None:
    print(printable(line), flush=True)
