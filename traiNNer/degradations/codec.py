"""Real codecs: files in memory, written and read by the libraries that everybody uses. On the CPU only."""

from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Images, Weights, require_span, require_weights
from traiNNer.registry import DEGRADATIONS

Format = Literal["jpeg", "webp"]
Quality = Annotated[int, Field(ge=1, le=100)]
FORMATS = {"jpeg": (".jpg", cv2.IMWRITE_JPEG_QUALITY), "webp": (".webp", cv2.IMWRITE_WEBP_QUALITY)}


@DEGRADATIONS.register(batched=False)
class Codec(Degradation):
    """Write each image as a JPEG or WebP file in memory and read it again.

    `jpeg` does the same as `jpeg` here, for many images at once and on any device; WebP is only here.

    Args:
        formats: formats; one is drawn for each image.
        format_weights: how often each format is drawn; equally often when left out.
        quality: least and most quality, from 1 to 100.
    """

    def __init__(
        self,
        formats: Annotated[tuple[Format, ...], Field(min_length=1)] = ("webp",),
        format_weights: Weights = (),
        quality: tuple[Quality, Quality] = (30, 95),
    ) -> None:
        require_span(quality, "quality", 1)
        require_weights(formats, format_weights, "format_weights")
        self.formats, self.weights, self.quality = formats, format_weights, quality

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the images as they come out of the files, B, 3, H, W."""
        return self.on(Images.of(images), draws).pixels

    def on(self, images: Images, draws: Draws) -> Images:
        """Return the same for images of several sizes, each written without what lies beyond it."""
        chosen = draws.choice("format", self.formats, self.weights)
        quality = draws.integer("quality", *self.quality)
        before = images.pixels
        pixels = torch.round(before * 255).permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy().copy()
        for image, (height, width), place, value in zip(pixels, images.sizes, chosen, quality, strict=True):
            image[:height, :width] = written(image[:height, :width], self.formats[place], int(value))
        return images.with_pixels(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(before.device, before.dtype) / 255)


def written(image: np.ndarray, kind: str, quality: int) -> np.ndarray:
    """Return an H, W, 3 uint8 RGB image after it was written as a file of a kind."""
    ending, option = FORMATS[kind]
    _, file = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [option, quality])
    read = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert read is not None  # it was written by the same library
    return cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
