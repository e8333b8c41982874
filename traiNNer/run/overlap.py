"""Validation images that are trained on, whatever their paths: files of the same content, linked ones included."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from traiNNer.batch import ImageSet
from traiNNer.utils.files import sha256_of

NAMES_SHOWN = 5
MOST_CANDIDATES = 4096
"""Training files of the size of a validation file whose content is compared: uncompressed images all have one size."""
SAMPLE_BYTES = 4096


def validation_overlap(sets: Mapping[str, ImageSet]) -> list[str]:
    """Return one warning for each set but `train` that holds images of it.

    Costs one `stat` for each file; only files of equal size are read, of these first a sample.
    """
    if "train" not in sets:
        return []
    trained = sets["train"].originals()
    held = {key: dataset.originals() for key, dataset in sets.items() if key != "train"}
    return [told for key, files in held.items() if files and (told := _told(key, len(files), _same(files, trained)))]


def _told(key: str, count: int, same: Sequence[tuple[Path, Path]]) -> str | None:
    if not same:
        return None
    named = "; ".join(f"{file} is {other}" for file, other in same[:NAMES_SHOWN])
    more = f"; and {len(same) - NAMES_SHOWN} more" if len(same) > NAMES_SHOWN else ""
    return (
        f"datasets.{key}: {len(same)} of {count} images are trained on, so its scores are too good: {named}{more}. "
        "Take them out of one of the two sets, or use `split`."
    )


def _same(held: Sequence[Path], trained: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return the held files that are trained on, each with the first file that it equals."""
    by_size: dict[int, list[Path]] = {}
    for file in held:
        by_size.setdefault(_size(file), []).append(file)
    found: dict[Path, Path] = {}
    samples: dict[Path, bytes] = {}
    candidates = 0
    for file in trained:
        others = [other for other in by_size.get(_size(file), ()) if other not in found]
        candidates += bool(others)
        for other in others:
            if candidates <= MOST_CANDIDATES and _are_equal(file, other, samples):
                found[other] = file
    return [(file, found[file]) for file in held if file in found]


def _are_equal(file: Path, other: Path, samples: dict[Path, bytes]) -> bool:
    try:
        for path in (file, other):
            if path not in samples:
                samples[path] = _middle(path)
        return samples[file] == samples[other] and sha256_of(file) == sha256_of(other)
    except OSError:
        return False  # what cannot be read is reported where it is used


def _middle(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) // 2 - SAMPLE_BYTES // 2))
        return file.read(SAMPLE_BYTES)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
