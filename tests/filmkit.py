"""Small films with sound, made with PyAV, for tests."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

MILLISECOND = Fraction(1, 1000)
TIMES = (0, 40, 80, 133, 160, 200, 240, 350, 360, 400, 440, 480)
"""When the frames of a film of variable rate are seen, in milliseconds."""


def picture(number: int, size: tuple[int, int] = (48, 64), seed: int = 0) -> np.ndarray:
    """Return a frame of a camera that moves over colored blobs."""
    height, width = size
    noise = np.random.default_rng(seed).uniform(40, 215, (8, 12, 3)).astype(np.float32)
    large = cv2.resize(noise, (width + 60, height + 20), interpolation=cv2.INTER_CUBIC).clip(16, 235)
    return np.ascontiguousarray(large[:height, 2 * number : 2 * number + width]).astype(np.uint8)


def write_film(
    path: Path,
    frames: list[np.ndarray] | None = None,
    times: tuple[int, ...] = TIMES,
    codec: str = "ffv1",
    sound: str | None = "flac",
    **options: Any,
) -> list[np.ndarray]:
    """Write a film of H, W, 3 RGB frames, by default of variable rate and with sound. Returns its frames."""
    frames = frames or [picture(number) for number in range(len(times))]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options={key: str(value) for key, value in options.items()})
        video.width, video.height = frames[0].shape[1], frames[0].shape[0]
        video.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        video.codec_context.time_base = MILLISECOND
        audio = container.add_stream(sound, rate=48000) if sound else None
        for image, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, MILLISECOND
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            tone = (8000 * np.sin(np.arange(24000) / 20)).astype(np.int16)[None]
            sound_frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            sound_frame.sample_rate, sound_frame.pts = 48000, 0
            resampled = av.AudioResampler(format=audio.format.name, layout="mono", rate=48000).resample(sound_frame)
            for one in resampled:
                container.mux(audio.encode(one))
            container.mux(audio.encode())
    return frames


def read_film(path: Path) -> tuple[list[Fraction], list[np.ndarray]]:
    """Return the seconds and frames of a film."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [frame.pts * frame.time_base for frame in frames], [frame.to_ndarray(format="rgb24") for frame in frames]


def packets(path: Path, kind: str = "audio") -> list[tuple[Fraction, bytes]]:
    """Return the seconds and bytes of all packets of one kind."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(one.pts * one.time_base, bytes(one)) for one in container.demux(stream) if one.pts is not None]
