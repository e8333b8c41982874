"""Lists of images: a text file with one path below `dataroot_gt` per line, as BasicSR's `meta_info` files are."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from traiNNer.errors import DataError
from traiNNer.imaging.image_file import SUFFIXES
from traiNNer.utils.files import nearest_existing, read_text_bounded

MAX_BYTES = 64 * 1024**2  # about a million paths
# `0001_s001.png (480,480,3)`: the name ends with the image's ending, so that `photo (1).png` is one too.
ENTRY = re.compile(rf"^(.*?(?:{'|'.join(re.escape(suffix) for suffix in SUFFIXES)})) \(.*$", re.IGNORECASE)


@dataclass(frozen=True)
class MetaInfo:
    """The names in a list, in its order, and the lines that are refused because they lead out of the root."""

    names: tuple[str, ...]
    refused: tuple[str, ...] = ()


def read_meta_info(title: str, path: Path) -> MetaInfo:
    """Read a list. Blank lines and lines that start with `#` are passed over.

    Args:
        title: the option in the user's words, e.g. `datasets.train.meta_info`.
        path: the text file, UTF-8 or UTF-16 with a byte-order mark, of at most 64 MB.

    Raises:
        DataError: there is no such file, it is not text, or it names no image.
    """
    names: dict[str, None] = {}
    refused = []
    for number, line in enumerate(_text(title, path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name = ENTRY.sub(r"\1", line.strip())
        if _leaves_root(name):
            refused.append(f"{path} line {number}: {name}")
        else:
            names[_normal(name)] = None
    if not names and not refused:
        raise DataError(f"{title}: {path} names no image. Write one path below dataroot_gt per line.")
    return MetaInfo(tuple(names), tuple(refused))


def name_in_list(path: Path, root: Path) -> str:
    """Return how a list names a file below `root`, with `/` between folders whatever the list has."""
    return _normal(path.relative_to(root).as_posix())


def _text(title: str, path: Path) -> str:
    try:
        return read_text_bounded(path, MAX_BYTES)
    except FileNotFoundError:
        near = nearest_existing(path).absolute()
        raise DataError(f"{title}: no such file {path}. The nearest folder that exists is {near}.") from None
    except OSError as error:
        raise DataError(f"{title}: cannot read {path} ({error.strerror}).") from None
    except ValueError:
        raise DataError(f"{title}: {path} is not a text file in UTF-8 or UTF-16.") from None


def _leaves_root(name: str) -> bool:
    # A drive such as C: is absolute on one system only, and refused on all.
    return (
        ".." in PureWindowsPath(name).parts or PurePosixPath(name).is_absolute() or bool(PureWindowsPath(name).anchor)
    )


def _normal(name: str) -> str:
    # Lists made on Windows have backslashes; a backslash inside a file name becomes a slash on both sides alike.
    return unicodedata.normalize("NFC", PurePosixPath(name.replace("\\", "/")).as_posix())
