"""The frames of a film in order, each with the window of frames that a network sees around it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from traiNNer.imaging.film import film_errors, matrix_of, open_film, require_pyav, to_rgb
from traiNNer.utils.clips import miniature, window, within_scene

HDR_CURVES = (16, 18)
"""Transfer characteristics of HDR10 and HLG, as ffmpeg numbers them."""


@dataclass(frozen=True)
class Shown:
    """A frame as it is seen, H, W, 3 uint8, when it is seen, in units of the film's time base, and its miniature."""

    time: int
    image: np.ndarray
    small: np.ndarray


@dataclass(frozen=True)
class Look:
    """What an output takes over from its source; numbers are as ffmpeg has them."""

    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None
    matrix: int
    primaries: int
    curve: int


class FilmSource:
    """Reads a film once, from its beginning.

    Args:
        path: the film.

    Raises:
        DataError: PyAV is not installed.
        ImageError: it is no film.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = 0
        self.notes: list[str] = []
        container, stream = open_film(path)
        with container:
            context = stream.codec_context
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            self.frames = stream.frames or (round(stream.duration * stream.time_base * rate) if stream.duration else 0)
            if not self.frames and container.duration:
                self.frames = round(container.duration * rate / 1_000_000)
            ratio = stream.sample_aspect_ratio
            self.look = Look(
                stream.time_base,
                rate,
                ratio if ratio and ratio != 1 else None,
                matrix_of(context.colorspace, context.height),
                int(context.color_primaries),
                int(context.color_trc),
            )
            if context.format is not None and max(part.bits for part in context.format.components) > 8:
                self.notes.append("its frames have more than 8 bits; 8 are used")
            if self.look.curve in HDR_CURVES:
                self.notes.append("it is HDR, of which the network sees the coded values")

    def windows(self, frames: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield time and window of every frame: `frames` images, none beyond a cut.

        Raises:
            ImageError: nothing can be decoded.
        """
        half, shown = frames // 2, deque[Shown]()
        source, first, place, is_over = self._decoded(), 0, 0, False
        while True:
            while not is_over and first + len(shown) <= place + half:
                found = next(source, None)
                is_over = found is None
                if found is not None:
                    shown.append(found)
            if place >= first + len(shown):
                return
            places = window(place, frames, first + len(shown))
            seen = within_scene(places, [shown[near - first].small for near in places])
            yield shown[place - first].time, [shown[near - first].image for near in seen]
            place += 1
            while first < place - half:
                shown.popleft()
                first += 1

    def _decoded(self) -> Iterator[Shown]:
        container, stream = open_film(self.path)
        stream.thread_type = "AUTO"
        last: int | None = None
        with container:
            for frame in self._frames(container, stream):
                if frame.is_corrupt:
                    self.broken += 1
                time = frame.pts if frame.pts is not None else self._following(last)
                if last is not None and time <= last:  # a film must not go back
                    time = last + 1
                last = time
                if frame.interlaced_frame and not any("interlaced" in note for note in self.notes):
                    self.notes.append("it is interlaced: deinterlace it first")
                image = to_rgb(frame)
                yield Shown(time, image, miniature(image))

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """Yield what can be decoded, and count what cannot."""
        av = require_pyav(self.path)
        with film_errors(self.path):
            packets: Iterator[Any] = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                    yield from packet.decode()
                except StopIteration:
                    return
                except av.error.InvalidDataError:
                    self.broken += 1
                except av.error.EOFError:
                    return

    def _following(self, last: int | None) -> int:
        return 0 if last is None else last + max(1, round(1 / (self.look.rate * self.look.time_base)))
