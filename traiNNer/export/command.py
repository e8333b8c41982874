"""Exporting a network: everything is written aside and compared, and only then put in place."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import mkdtemp

from traiNNer.config.names import refusal
from traiNNer.engine.run_folder import cause
from traiNNer.errors import CannotWrite, ConfigError, NotExported
from traiNNer.export.int8 import Calibration, write_int8
from traiNNer.export.model_card import Release, model_card
from traiNNer.export.onnx_graph import PACKAGES, describe, write_onnx
from traiNNer.export.openmodeldb import TO_FILL, entry, model_id
from traiNNer.export.pictures import write_examples
from traiNNer.export.proof import prove
from traiNNer.export.run_facts import run_of
from traiNNer.export.source import Source, open_source
from traiNNer.export.torchscript import write_torchscript
from traiNNer.export.weights import Precision, rounding_db, write_weights
from traiNNer.report.record import Record
from traiNNer.upscaling.onnx import LEAST_SIDE
from traiNNer.upscaling.onnx_file import require
from traiNNer.utils.files import sha256_of
from traiNNer.utils.meta import parameter_count
from traiNNer.utils.printable import printable

LARGEST_SCALE = 64
SUMS, CARD = "SHA256SUMS", "README.md"


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Args:
        model: the weights file.
        output: the folder of the files, or of the release's folder; None: that of the weights file.
        name: of the files; None: that of the weights file, for a release that of its run.
        onnx: write ONNX; also where nothing else is asked for.
        fp16: weights in float16, also of the ONNX file.
        bf16: weights in bfloat16.
        int8: an ONNX file in 8-bit integers; needs `calibration`.
        calibration: a folder of images such as the network will make.
        torchscript: a TorchScript file.
        release: a folder with weights, ONNX, checksums and a page.
        scale: of the network, for a file that does not record it.
        overwrite: replace what exists.
    """

    model: Path
    output: Path | None = None
    name: str | None = None
    onnx: bool = False
    fp16: bool = False
    bf16: bool = False
    int8: bool = False
    calibration: Path | None = None
    torchscript: bool = False
    release: bool = False
    scale: int | None = None
    overwrite: bool = False

    def wants_onnx(self, source: Source) -> bool:
        """Whether a float32 ONNX file is written: asked for, needed, or the only form that other programs open."""
        others = self.fp16 or self.bf16 or self.torchscript
        return self.onnx or self.int8 or self.release or not others or not source.is_known_elsewhere


@dataclass
class _Work:
    """An export in progress: the folder aside, the name of the files, and what is said of them."""

    source: Source
    folder: Path
    name: str
    said: list[str] = field(default_factory=list)

    def path(self, ending: str) -> Path:
        return self.folder / f"{self.name}{ending}"

    def say(self, line: str) -> None:
        self.said.append(line)
        print(printable(line), flush=True)


def run_export(request: Request) -> None:
    """Export a network and say what was compared.

    Raises:
        ConfigError: the weights file or what was asked for cannot be used, or a package is missing.
        DataError: the calibration images cannot be used.
        NotExported: a form cannot be made, or computes something else; nothing is written then.
        CannotWrite: the files cannot be written.
    """
    _check(request)
    source = open_source(request.model.expanduser(), request.scale)
    if request.int8 and source.frames > 1:
        raise ConfigError(f"--int8 calibrates with single images, and {source.arch} takes clips: leave --int8 out")
    record = run_of(source.path)
    name = _name(request, record)
    if request.wants_onnx(source) or request.fp16:
        require(request.model, *PACKAGES)
    output = (request.output or source.path.parent).expanduser()
    with _aside(output) as folder:
        work = _Work(source, folder, name)
        count = parameter_count(source.released, trained=False)
        work.say(f"{source.path.name}: {source.arch}, {source.scale}x, {count:,} parameters when released")
        _write(request, work)
        if request.release:
            _complete(work, record)
        _publish(folder, output, name if request.release else None, request.overwrite, work.say)


def _check(request: Request) -> None:
    if request.int8 and request.calibration is None:
        raise ConfigError("--int8 needs --calibration DIR: a folder of images such as the network will make")
    if request.calibration is not None and not request.int8:
        raise ConfigError("--calibration has no effect without --int8")
    if request.scale is not None and not 1 <= request.scale <= LARGEST_SCALE:
        raise ConfigError(f"--scale must be from 1 to {LARGEST_SCALE}, not {request.scale}")
    if request.name is not None and (message := refusal(request.name)):
        raise ConfigError(f"--name {message}")


def _name(request: Request, record: Record | None) -> str:
    if request.name is None and record and request.release and refusal(record.name) is None:
        return record.name
    return request.name or request.model.stem


def _write(request: Request, work: _Work) -> None:
    """Write the forms that were asked for."""
    source = work.source
    if request.release:
        _weights(work, "fp32")
    if request.fp16:
        _weights(work, "fp16")
    if request.bf16:
        _weights(work, "bf16")
    if request.wants_onnx(source):
        if not (request.onnx or request.int8 or request.release) and (
            request.fp16 or request.bf16 or request.torchscript
        ):
            work.say(f"{source.arch} is not known to other programs: it is written as ONNX too")
        _onnx(work, half=False)
        if request.fp16:
            _onnx(work, half=True)
    if request.int8 and request.calibration is not None:
        calibration = Calibration(request.calibration.expanduser(), source.scale, source.least_side)
        path = work.path("_int8.onnx")
        work.say(f"{path.name}: {write_int8(source, work.path('.onnx'), path, calibration)}")
        _describe(work, path)
    if request.torchscript:
        path = work.path(".torchscript.pt")
        work.say(f"{path.name}: {write_torchscript(source, path)}")


def _weights(work: _Work, precision: Precision) -> None:
    path = work.path(".safetensors" if precision == "fp32" else f"_{precision}.safetensors")
    write_weights(work.source, path, precision)
    if precision == "fp32" and work.source.frames > 1:
        found = rounding_db(work.source, path)
        if not math.isinf(found):
            raise NotExported(f"{path.name}: read back it is {found:.1f} dB from the network.")
        work.say(f"{path.name}: read back, it computes the same; spandrel opens no networks of clips")
    elif precision == "fp32":
        work.say(prove(work.source, path, work.folder))
    else:
        work.say(f"{path.name}: {rounding_db(work.source, path):.1f} dB from float32")


def _onnx(work: _Work, half: bool) -> None:
    path = work.path("_fp16.onnx" if half else ".onnx")
    written = write_onnx(work.source, path, half)
    for note in written.notes:
        work.say(note)
    work.say(f"{path.name}: {written.agreement}")
    _describe(work, path)


def _describe(work: _Work, path: Path) -> None:
    source = work.source
    about = {"arch": source.arch, "scale": str(source.scale), "options": json.dumps(source.about.get("options", {}))}
    describe(path, {LEAST_SIDE: str(source.least_side)} | {f"traiNNer.{key}": value for key, value in about.items()})


def _complete(work: _Work, record: Record | None) -> None:
    """Add pictures, page, checksums and the entry for OpenModelDB."""
    images = write_examples(record, work.folder) if record else []
    files = [
        (path.name, path.stat().st_size, sha256_of(path)) for path in sorted(work.folder.iterdir()) if path.is_file()
    ]
    release = Release(work.name, work.source, record, files, work.said[1:], images)
    (work.folder / CARD).write_text(model_card(release), encoding="utf-8")
    found = entry(work.name, work.source, record, files, date.today())
    place = work.folder / f"{model_id(work.name, work.source.scale)}.json"
    place.write_text(json.dumps(found, indent=4, ensure_ascii=False), encoding="utf-8")
    work.say(f"{place.name} for OpenModelDB: fill in {', '.join(TO_FILL)}")
    lines = [f"{digest}  {name}\n" for name, _, digest in files]
    (work.folder / SUMS).write_text("".join(lines), encoding="utf-8")


@contextmanager
def _aside(output: Path) -> Iterator[Path]:
    """Give a folder beside the place of the files, which is gone afterwards, whatever happens."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=".export-", dir=output))
    except OSError as error:
        raise CannotWrite(f"Cannot write to {output} ({cause(error)}).") from None
    try:
        yield folder
    except OSError as error:
        raise CannotWrite(f"Cannot write to {output} ({cause(error)}).") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, output: Path, release: str | None, overwrite: bool, say: Callable[[str], None]) -> None:
    """Put the files in place: a release as a folder, by one renaming."""
    folder.chmod(0o755)
    moves = [(folder, output / release)] if release else [(file, output / file.name) for file in folder.iterdir()]
    taken = [target for _, target in moves if target.exists() or target.is_symlink()]
    if taken and not overwrite:
        raise ConfigError(f"{taken[0]} exists: --overwrite replaces it, --name gives another name")
    for source, target in sorted(moves):
        if target.is_symlink():
            target.unlink()
        old = target.with_name(f"{folder.name}-old") if release and target.is_dir() else None
        if old:
            target.rename(old)
        source.replace(target)
        if old:
            shutil.rmtree(old, ignore_errors=True)
        say(f"Written: {target}")
