"""What identifies the images of a set: their names and sizes and, of some, a sample of their content."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from traiNNer.imaging.image_file import Header

SAMPLED_FILES = 64
SAMPLE_BYTES = 4096


def fingerprint(images: Iterable[tuple[str, Sequence[Path]]], headers: Mapping[Path, Header]) -> dict[str, str | int]:
    """Return what is equal for the same images in any folder, and different for others of the same names.

    Names, sizes and lengths in bytes of all files are compared: compressed files of other photos hardly ever have the
    same. Of at most 64 images, spread evenly, three samples of 4 KB (start, middle, end) of every file are compared
    too, which distinguishes uncompressed files. That is one `stat` for each file, and at most 1.5 MB read.

    Args:
        images: a key and the files of each image, in the order of the set.
        headers: what each file says of itself.

    Returns:
        `count`; `sha256` of keys, sizes and lengths; `content`, that of the samples.

    Raises:
        OSError: a file cannot be read.
    """
    listed = list(images)
    names, content = hashlib.sha256(), hashlib.sha256()
    for key, files in listed:
        sizes = [f"{headers[file].width}x{headers[file].height} {file.stat().st_size}" for file in files]
        names.update(f"{key} {' '.join(sizes)}\n".encode("utf-8", "surrogateescape"))
    chosen = min(SAMPLED_FILES, len(listed))
    for place in range(chosen):
        for file in listed[place * len(listed) // chosen][1]:
            content.update(_sample(file))
    return {"count": len(listed), "sha256": names.hexdigest(), "content": content.hexdigest()}


def _sample(path: Path) -> bytes:
    with path.open("rb") as file:
        length = file.seek(0, 2)
        parts = []
        for start in (0, length // 2, length - SAMPLE_BYTES):
            file.seek(max(0, start))
            parts.append(file.read(SAMPLE_BYTES))
    return b"".join(parts)
