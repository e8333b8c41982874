"""An upscaled film on its way: parts of some frames, each whole or not there, and in the end one file with the sound.

A part begins with a key frame and has no frames that refer to later ones, so that parts follow each other in one
stream, and a film of parts is the same however often its making was interrupted. Beside each part are the times of its
frames, in the time base of the source, which containers would round.
"""

import heapq
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from traiNNer.engine.run_folder import cause
from traiNNer.errors import CannotWrite, ConfigError
from traiNNer.imaging.film import require_pyav
from traiNNer.upscaling.film_source import Look
from traiNNer.utils.files import write_bytes_atomic

Codec = Literal["h264", "h265", "ffv1"]
FRAMES = 100
"""Frames of a part: what an interruption costs at most."""
CONTAINER = "matroska"
"""What parts are written as."""
ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "medium"}),
    "h265": ("libx265", {"preset": "medium", "x265-params": "log-level=error:bframes=0"}),
    "ffv1": ("ffv1", {"level": "3"}),
}
LIMITED_RANGE = 1


@dataclass(frozen=True)
class Encoder:
    """How frames are written."""

    codec: Codec
    crf: int
    look: Look

    def open(self, container: Any, width: int, height: int) -> Any:
        """Add the video stream to a container. Raises `ConfigError` where this build of PyAV cannot encode it."""
        av = require_pyav(container.name)
        name, options = ENCODERS[self.codec]
        try:
            stream = container.add_stream(name, rate=self.look.rate)
        except av.codec.codec.UnknownCodecError:
            raise ConfigError(f"--codec {self.codec}: the installed PyAV has no encoder {name}") from None
        context = stream.codec_context
        context.width, context.height = width, height
        # Chroma of half the resolution needs even sides.
        context.pix_fmt = "bgr0" if self.codec == "ffv1" else "yuv444p" if width % 2 or height % 2 else "yuv420p"
        context.time_base = 1 / self.look.rate
        context.options = options if self.codec == "ffv1" else options | {"crf": str(self.crf)}
        context.max_b_frames = 0
        context.color_primaries, context.color_trc = self.look.primaries, self.look.curve
        if self.codec != "ffv1":
            context.colorspace, context.color_range = self.look.matrix, LIMITED_RANGE
        if self.look.aspect:
            context.sample_aspect_ratio = self.look.aspect
        return stream

    def frame(self, image: np.ndarray, number: int, kind: str) -> Any:
        """Return H, W, 3 RGB uint8 as a frame of a part, numbered from 0."""
        av = require_pyav("film")
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        if kind == "bgr0":
            frame = frame.reformat(format=kind, threads=1)
        else:
            frame = frame.reformat(
                format=kind, dst_colorspace=self.look.matrix, src_color_range=2, dst_color_range=1, threads=1
            )
        frame.pts, frame.time_base = number, 1 / self.look.rate
        return frame


class Parts:
    """The parts of one film in a folder beside it, `<name>.parts`.

    Args:
        target: the film that is to be.
        about: what the parts are made of, to be compared when they are found again.
    """

    def __init__(self, target: Path, about: dict[str, Any]) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.parts")
        self._record = self.folder / "film.json"
        self._about = json.dumps(about, sort_keys=True, indent=1)

    def begin(self) -> int:
        """Make the folder, or go on with it. Returns how many parts there are; those of another film are removed."""
        with _writing(self.folder):
            if self.folder.exists() and self._known() != self._about:
                if not self._record.exists() and any(self.folder.iterdir()):
                    raise CannotWrite(f"{self.folder} is in the way: it holds something else. Move it away.")
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes_atomic(self._record, self._about.encode())
        return next(number for number in range(10**6) if not self._file(number).exists())

    def _known(self) -> str:
        return self._record.read_text(encoding="utf-8") if self._record.is_file() else ""

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06}.mkv"

    def write(self, number: int, frames: Iterable[tuple[int, np.ndarray]], encoder: Encoder) -> None:
        """Write one part of (time, image), whole or not at all. Raises `CannotWrite`."""
        av, unfinished = require_pyav(self.target), self.folder / "unfinished"
        with _writing(unfinished), av.open(str(unfinished), "w", format=CONTAINER) as container:
            stream: Any = None
            times: list[int] = []
            for time, image in frames:
                stream = stream or encoder.open(container, image.shape[1], image.shape[0])
                container.mux(stream.encode(encoder.frame(image, len(times), stream.codec_context.pix_fmt)))
                times.append(time)
            container.mux(stream.encode())
        with _writing(unfinished):
            write_bytes_atomic(self._file(number).with_suffix(".json"), json.dumps(times).encode())
            os.replace(unfinished, self._file(number))  # noqa: PTH105 - as elsewhere

    def finish(self, count: int, source: Path, base: Fraction, note: Callable[[str], None]) -> str:
        """Put `count` parts together with the sound of the source, of time base `base`. Returns what was copied."""
        av, whole = require_pyav(self.target), self.folder / f"whole{self.target.suffix}"
        with _writing(self.target):
            with ExitStack() as opened:
                first = opened.enter_context(av.open(str(self._file(0))))
                original = opened.enter_context(av.open(str(source)))
                output = opened.enter_context(av.open(str(whole), "w"))
                video = output.add_stream_from_template(first.streams.video[0])
                video.time_base = base
                copied = _copied_streams(original, output, note)
                kinds = [stream.type for stream in copied]
                output.metadata.update({key: value for key, value in original.metadata.items() if key != "encoder"})
                made = self._packets(count, video, base)
                for packet in heapq.merge(made, _of_source(original, copied), key=_moment):
                    output.mux(packet)
            os.replace(whole, self.target)  # noqa: PTH105 - as elsewhere
        shutil.rmtree(self.folder)
        return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "no sound"

    def _packets(self, count: int, video: Any, base: Fraction) -> Iterator[Any]:
        """Yield the packets of all parts, each at the time of its frame: none comes before one that is seen earlier."""
        av = require_pyav(self.target)
        for number in range(count):
            times = json.loads(self._file(number).with_suffix(".json").read_text(encoding="utf-8"))
            with av.open(str(self._file(number))) as part:
                packets = (packet for packet in part.demux(video=0) if packet.dts is not None)
                for packet, time in zip(packets, times, strict=True):
                    packet.stream, packet.time_base = video, base
                    packet.pts = packet.dts = time
                    yield packet


def _copied_streams(original: Any, output: Any, note: Callable[[str], None]) -> dict[Any, Any]:
    """Return the streams of the source that are copied, with those of the output."""
    copied = {}
    for stream in (*original.streams.audio, *original.streams.subtitles):
        name = stream.codec_context.name if stream.codec_context else "of an unknown kind"
        if stream.codec_context is None or (name not in output.supported_codecs and not _takes(output, name)):
            note(f"{stream.type} {name} cannot be kept in {output.format.name}: left out")
            continue
        copied[stream] = output.add_stream_from_template(stream)
        copied[stream].metadata.update(stream.metadata)
    return copied


def _takes(output: Any, name: str) -> bool:
    return output.format.name == "matroska" and name != "mov_text"


def _of_source(original: Any, copied: dict[Any, Any]) -> Iterator[Any]:
    if not copied:
        return
    for packet in original.demux(list(copied)):
        if packet.dts is not None:
            packet.stream = copied[packet.stream]
            yield packet


def _moment(packet: Any) -> float:
    return float(packet.dts * packet.time_base)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    av = require_pyav(path)
    try:
        yield
    except OSError as error:
        raise CannotWrite(f"Cannot write {path} ({cause(error)}).") from None
    except av.error.FFmpegError as error:
        raise CannotWrite(f"Cannot write {path} ({error.strerror or error}).") from None
