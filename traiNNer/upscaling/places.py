"""Which images are upscaled, and where each result is written: never outside the output folder, never over an input."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from traiNNer.data.files.folders import no_images, require_folder
from traiNNer.data.files.listing import list_images, stem_of, told
from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.encode import ENDINGS, Format
from traiNNer.imaging.image_file import SUFFIXES
from traiNNer.imaging.other_formats import FOREIGN_ENDINGS
from traiNNer.utils.files import is_folder, natural_key

FORMATS: dict[str, Format] = {
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
}


@dataclass(frozen=True)
class Job:
    """One image: where it is, and where its result is written."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Jobs:
    """What is to be done, below which folder everything is written, in which format, and what to say of the rest."""

    jobs: tuple[Job, ...]
    folder: Path
    format: Format
    notes: tuple[str, ...]

    @cached_property
    def sources(self) -> frozenset[tuple[int, int]]:
        """What the file system knows the images by, whatever their paths."""
        return frozenset(_identity(job.source) for job in self.jobs if job.source.exists())


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def plan_jobs(inputs: Sequence[str], output: Path, wanted: Format | None) -> Jobs:
    """Find the images of files, folders and patterns, and a place for the result of each.

    A single file may be written to a file by name; everything else goes into a folder, images of folders and patterns
    with the folders that they lie in.

    Raises:
        DataError: an input does not exist or holds no images, or two results would have one name.
        ConfigError: the output's name is of another format than asked for, of one that is not written, or of a single
            file where there are several images.
    """
    single = Path(inputs[0]) if len(inputs) == 1 else None
    ending = output.suffix.lower()
    if single and not is_folder(single) and single.is_file() and ending in FORMATS and not is_folder(output):
        if wanted not in (None, FORMATS[ending]):
            raise ConfigError(f"-o {output} does not fit --format {wanted}: leave one of them out")
        return Jobs((Job(single, output),), output.parent, FORMATS[ending], ())
    if output.is_file():
        raise ConfigError(f"-o {output} is a file: name a folder")
    if ending in (*SUFFIXES, *FOREIGN_ENDINGS) and not is_folder(output):
        known = ", ".join(FORMATS)
        problem = "takes one image: name a folder" if ending in FORMATS else f"cannot be written; endings: {known}"
        raise ConfigError(f"-o {output} {problem}")
    notes: list[str] = []
    kind: Format = wanted or "png"
    found: dict[PurePath, Path] = {}
    for text in inputs:
        for name, source in _found(text, output, notes):
            target = name.with_name(f"{name.name}{ENDINGS[kind]}")
            if ".." in name.parts or name.is_absolute():
                raise DataError(f"{text}: the result of {source} would lie outside of {output}")
            if target in found and not found[target].samefile(source):
                raise DataError(f"{found[target]} and {source} would both be written to {output / target}: rename one")
            found[target] = source
    return Jobs(tuple(Job(source, output / name) for name, source in found.items()), output, kind, tuple(notes))


def _found(text: str, output: Path, notes: list[str]) -> Iterator[tuple[PurePath, Path]]:
    """Yield the images of one input, each with its name below the output folder, without the ending."""
    path = Path(text).expanduser()
    if is_folder(path):
        yield from _below(path, output, notes)
    elif path.exists():
        yield PurePath(stem_of(path.name) if path.suffix else path.name), path
    elif glob.has_magic(text):
        yield from _matching(str(path), text)
    else:
        require_folder("-i", path)


def _below(root: Path, output: Path, notes: list[str]) -> Iterator[tuple[PurePath, Path]]:
    try:
        listing = list_images(root)
    except OSError as error:
        raise DataError(f"-i {root}: cannot read the folder {error.filename} ({error.strerror}).") from None
    notes += told(listing.passed_over)
    # Results of an earlier call, where they are written into a folder of the folder that is read.
    within = output.resolve() if output.resolve() != root.resolve() else None
    files = {name: path for name, path in listing.files.items() if not (within and within in path.resolve().parents)}
    if not files:
        raise no_images("-i", root)
    yield from ((PurePath(name), path) for name, path in files.items())


def _matching(pattern: str, text: str) -> Iterator[tuple[PurePath, Path]]:
    matches = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - a pattern may be absolute
    files = sorted(
        (path for path in matches if path.is_file() and path.name.lower().endswith(SUFFIXES)),
        key=lambda path: (natural_key(str(path)), str(path)),
    )
    if not files:
        raise DataError(f"-i {text} matches no images. Allowed: {', '.join(SUFFIXES)}.")
    fixed = list(_until_magic(Path(pattern).parts[:-1]))
    base = Path(*fixed) if fixed else Path()
    yield from ((PurePath(path.relative_to(base)).with_suffix(""), path) for path in files)


def _until_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def reason_against(job: Job, jobs: Jobs) -> str:
    """Return why a result must not be written where it would be; empty where it may."""
    place = Path(os.path.realpath(job.target.parent))
    if not place.is_relative_to(os.path.realpath(jobs.folder)):
        return f"{job.target.parent} is a link that leaves {jobs.folder}"
    if job.target.exists() and _identity(job.target) in jobs.sources:
        return f"would overwrite {job.target}, which is one of the images: choose another folder"
    return ""
