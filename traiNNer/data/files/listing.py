"""The image files below a folder, and what is passed over there: endings that are not read, thumbnails of a NAS."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from traiNNer.imaging.image_file import SUFFIXES
from traiNNer.imaging.other_formats import FOREIGN_ENDINGS
from traiNNer.utils.files import natural_key

NOT_PHOTOS = ("@eaDir", "@Recycle", "#recycle", "#snapshot", "@Recently-Snapshot", "__MACOSX")
"""Folders that a NAS or macOS fills by itself."""
ABOVE = "a link to a folder above"
KINDS_SHOWN = 5


@dataclass
class Listing:
    """The images by their relative stem, in natural order, and how many were passed over: ending or folder -> count."""

    files: dict[str, Path]
    passed_over: Counter[str] = field(default_factory=Counter)


def list_images(root: Path) -> Listing:
    """Find every image file below a folder; hidden ones are left out.

    Links to folders are followed, except to a folder above. Two files that differ only in the ending keep it in their
    key, so that none is lost.

    Raises:
        OSError: a folder below cannot be read.
    """
    passed_over: Counter[str] = Counter()
    files = {path.relative_to(root).as_posix(): path for path in _walk(root, passed_over)}
    # The name itself decides between names that are equal naturally, never the order on the disk.
    names = sorted(files, key=lambda name: (natural_key(name), name))
    stems = Counter(stem_of(name) for name in names)
    unique = {name: stems[stem_of(name)] == 1 and stem_of(name) not in files for name in names}
    return Listing({stem_of(name) if unique[name] else name: files[name] for name in names}, passed_over)


def told(passed_over: Counter[str]) -> list[str]:
    """Return one line for each way in which files were passed over: `3 files with endings … (heic 2, gif 1)`."""
    endings = Counter({name[1:]: count for name, count in passed_over.items() if name.startswith(".")})
    folders = Counter({name: count for name, count in passed_over.items() if name in NOT_PHOTOS})
    lines: list[str] = []
    if endings:
        lines.append(
            f"{endings.total()} images with endings that are not read are left out ({_counts(endings)}); "
            "convert them to PNG"
        )
    if folders:
        lines.append(f"{folders.total()} images in folders that a NAS or macOS made are left out ({_counts(folders)})")
    if passed_over[ABOVE]:
        lines.append(f"{passed_over[ABOVE]} links to a folder above are not followed")
    return lines


def _counts(counter: Counter[str]) -> str:
    rest = sum(count for _, count in counter.most_common()[KINDS_SHOWN:])
    shown = [f"{name} {count}" for name, count in counter.most_common(KINDS_SHOWN)]
    return ", ".join([*shown, *([f"others {rest}"] if rest else [])])


def _walk(root: Path, passed_over: Counter[str]) -> Iterator[Path]:
    above = {str(root): frozenset({_identity(root)})}
    for folder, folders, names in os.walk(root, onerror=_fail, followlinks=True):
        here = above.pop(folder)
        # A folder named like an image is listed too: the scan names it, where silence would hide what is inside.
        candidates = [*names, *folders]
        inside = []
        for name in sorted(folders):
            identity = _identity(Path(folder) / name)
            if name in NOT_PHOTOS:
                passed_over[name] += _count_images(Path(folder) / name)
            elif name.startswith("."):
                continue
            elif identity in here:
                passed_over[ABOVE] += 1
            else:
                inside.append(name)
                above[os.path.join(folder, name)] = here | {identity}  # noqa: PTH118 - as os.walk spells it
        folders[:] = inside
        for name in candidates:
            ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a path object for each of a million files
            if name.startswith("."):
                continue
            if ending in SUFFIXES or name.lower().endswith(SUFFIXES):
                yield Path(folder) / name
            elif ending in FOREIGN_ENDINGS and name not in folders:
                passed_over[ending] += 1


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _count_images(folder: Path) -> int:
    return sum(name.lower().endswith(SUFFIXES) for _, _, names in os.walk(folder) for name in names)


def _fail(error: OSError) -> None:
    raise error


def stem_of(name: str) -> str:
    """Return a name without its ending."""
    # macOS writes é as e and an accent, others as one character; to a user they are one name.
    return unicodedata.normalize("NFC", name[: name.rindex(".")])
