"""Video codecs: the frames of a clip written as a small film and read again, by PyAV. On the CPU only."""

from fractions import Fraction
from io import BytesIO
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Images, require_span
from traiNNer.registry import DEGRADATIONS
from traiNNer.utils.pyav import PYAV

Quality = Annotated[int, Field(ge=0, le=51)]
RATE = Fraction(25)


@DEGRADATIONS.register(batched=False)
class VideoCodec(Degradation):
    """Write the frames of each clip as a film (h264) in memory and read them again; a single image is a film of one.

    Needs PyAV. One frame of a clip depends on the others, as in any film. The lower right border of odd sides is
    written twice, as chroma has half the resolution.

    Args:
        crf: least and most of the encoder's constant rate factor; the higher, the worse.
        presets: of the encoder; one is drawn for each clip.

    Raises:
        ValueError: PyAV is not installed.
    """

    def __init__(
        self,
        crf: tuple[Quality, Quality] = (20, 32),
        presets: Annotated[tuple[str, ...], Field(min_length=1)] = ("veryfast", "medium"),
    ) -> None:
        require_span(crf, "crf")
        if not PYAV.is_met:
            raise ValueError(f"videocodec {PYAV.reason}")
        if unknown := [name for name in presets if name not in PRESETS]:
            raise ValueError(f"presets: no such preset {unknown[0]!r}   known: {', '.join(PRESETS)}")
        self.crf, self.presets = crf, presets

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images as they come out of the films, B, 3, H, W."""
        return self.on(Images.of(images), draws).pixels

    def on(self, images: Images, draws: Draws) -> Images:
        """Return the same for images of several sizes, each written without what lies beyond it."""
        quality = draws.integer("crf", *self.crf)
        chosen = draws.choice("preset", self.presets)
        before = images.pixels
        pixels = torch.round(before * 255).permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy().copy()
        for places in draws.clips():
            height, width = images.sizes[places[0]]
            clip = pixels[places, :height, :width]
            pixels[places, :height, :width] = filmed(clip, int(quality[places[0]]), self.presets[chosen[places[0]]])
        return images.with_pixels(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(before.device, before.dtype) / 255)


PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


def filmed(clip: np.ndarray, crf: int, preset: str) -> np.ndarray:
    """Return T, H, W, 3 uint8 RGB frames after they were written as a film: with one thread, so bits are the same."""
    import av  # pyright: ignore[reportMissingImports] - an extra

    height, width = clip.shape[1:3]
    even = np.pad(clip, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"crf": str(crf), "preset": preset})
        stream.width, stream.height, stream.pix_fmt = even.shape[2], even.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1
        for number, image in enumerate(even):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = frame.reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = number, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    reader: Any = av.open(file)
    with reader as film:
        film.streams.video[0].codec_context.thread_count = 1
        frames = [frame.reformat(format="rgb24", threads=1).to_ndarray() for frame in film.decode(video=0)]
    assert len(frames) == len(clip)  # they were written by the same library
    return np.stack(frames)[:, :height, :width]
