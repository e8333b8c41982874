"""Films through PyAV, an optional library: frames as they are seen, by number, and what a film says of itself.

Colors are converted by the matrix that the film names; where it names none, by that of BT.601 below 720 lines and of
BT.709 from there on, as players do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from traiNNer.errors import DataError
from traiNNer.imaging.headers import Header
from traiNNer.imaging.image_file import ImageError
from traiNNer.utils.pyav import PYAV

FILM_SUFFIXES = (
    ".mkv", ".mp4", ".m4v", ".mov", ".webm", ".avi", ".mpg", ".mpeg", ".m2ts", ".mts", ".ts", ".vob", ".wmv", ".flv",
)  # fmt: skip
UNSPECIFIED = 2
BT709, BT601 = 1, 5
FEWEST_LINES_OF_BT709 = 720
AHEAD = 32
"""Frames that are decoded one after the other rather than sought, where no key frame lies in between."""


def is_film(path: str | Path) -> bool:
    """Whether a name is that of a film."""
    return str(path).lower().endswith(FILM_SUFFIXES)


def require_pyav(path: str | Path) -> Any:
    """Return the module `av`. Raises `DataError` with the command that installs it."""
    if not PYAV.is_met:
        raise DataError(f"{path}: reading films {PYAV.reason}")
    import av  # pyright: ignore[reportMissingImports] - an extra

    return av


@contextmanager
def film_errors(path: str | Path) -> Iterator[None]:
    """Turn what PyAV raises into `ImageError` with the file's name."""
    av = require_pyav(path)
    try:
        yield
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(path, f"not a readable film: {reason.lower()}") from None


def open_film(path: str | Path) -> tuple[Any, Any]:
    """Return the open container and the first video stream that is no cover picture; the caller closes it.

    Raises:
        ImageError: it is no film.
    """
    av = require_pyav(path)
    if not Path(path).is_file():
        raise ImageError(path, "no such file" if not Path(path).exists() else "not a regular file")
    with film_errors(path):
        container = av.open(str(path))
    streams = [one for one in container.streams.video if not one.disposition & av.stream.Disposition.attached_pic]
    if not streams or not streams[0].codec_context or not streams[0].codec_context.width:
        container.close()
        raise ImageError(path, "holds no video")
    return container, streams[0]


def matrix_of(colorspace: int, lines: int) -> int:
    """Return the matrix by which a frame's colors are converted, as ffmpeg numbers it, from what the frame says."""
    known = {BT709: 1, 4: 4, BT601: 5, 6: 5, 7: 7, 9: 9, 10: 9}
    return known.get(int(colorspace), BT709 if lines >= FEWEST_LINES_OF_BT709 else BT601)


def to_rgb(frame: Any) -> np.ndarray:
    """Return a frame as it is seen: H, W, 3 RGB uint8, turned as the film says."""
    matrix = matrix_of(frame.colorspace, frame.height)
    shown = frame.reformat(format="rgb24", src_colorspace=matrix, dst_color_range=2, threads=1)
    return np.ascontiguousarray(np.rot90(shown.to_ndarray(), round(frame.rotation / 90)))


class Film:
    """A film whose frames are read by number, in any order, by any process.

    Args:
        path: the file.
        max_megapixels: larger frames are refused.

    Raises:
        DataError: PyAV is not installed.
        ImageError: it cannot be read as a film.
    """

    def __init__(self, path: Path, max_megapixels: float = 200) -> None:
        self.path = path
        self.times, self._keys = _index(path)
        self._process = -1
        self._decoding: Iterator[Any] | None = None
        self._next = 0
        self._container: Any = None
        self._stream: Any = None
        height, width = self.frame(0).shape[:2]
        if width * height > max_megapixels * 1e6:
            raise ImageError(path, f"frames of {width}x{height} are larger than max_pixels {max_megapixels:g}")
        self.header = Header(width, height, 3, 8)

    def __len__(self) -> int:
        return len(self.times)

    def __getstate__(self) -> dict[str, Any]:
        """Travel to a data worker without what is open."""
        return self.__dict__ | {"_container": None, "_stream": None, "_decoding": None, "_process": -1}

    def frame(self, number: int) -> np.ndarray:
        """Return a frame, H, W, 3 RGB uint8. Raises `ImageError` where it cannot be decoded."""
        with film_errors(self.path):
            self._go_to(number)
            assert self._decoding is not None
            for frame in self._decoding:
                if frame.pts is None or frame.pts < self.times[number]:
                    continue
                self._next = number + 1
                if frame.pts == self.times[number] and not frame.is_corrupt:
                    return to_rgb(frame)
                break
        self._decoding = None
        raise ImageError(self.path, f"frame {number} cannot be decoded")

    def _go_to(self, number: int) -> None:
        """Decode on from where the last frame was read, or from the key frame before."""
        if self._process != os.getpid():  # an open file must not be shared with the process that was forked from
            self._container, self._stream = open_film(self.path)
            self._process, self._decoding = os.getpid(), None
        key = max((key for key in self._keys if key <= self.times[number]), default=self.times[0])
        is_near = self._next <= number <= self._next + AHEAD
        if self._decoding is not None and is_near:
            return
        self._container.seek(key, stream=self._stream, backward=True)
        self._decoding, self._next = self._container.decode(self._stream), number


def _index(path: Path) -> tuple[list[int], list[int]]:
    """Return the times of all frames and of the key frames, in order, without decoding anything."""
    container, stream = open_film(path)
    times, keys = [], []
    with container, film_errors(path):
        for packet in container.demux(stream):
            if packet.pts is None or packet.is_corrupt:
                continue
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    if not times:
        raise ImageError(path, "holds no frames")
    return sorted(set(times)), sorted(keys)
