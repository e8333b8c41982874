"""From pixels to the bytes of a file: PNG, TIFF, WebP and JPEG, gray and with opacity where the format has them."""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import cv2
import numpy as np

Format = Literal["png", "tiff", "webp", "jpeg"]
ENDINGS: dict[Format, str] = {"png": ".png", "tiff": ".tif", "webp": ".webp", "jpeg": ".jpg"}
LONGEST_SIDE: dict[Format, int] = {"webp": 16383, "jpeg": 65500}
LOSSLESS = 100
"""The quality at which WebP loses nothing; JPEG always loses."""


class CannotEncode(ValueError):
    """A format cannot hold an image; the text is the reason."""


@dataclass(frozen=True)
class Encoding:
    """How files are written: the format, and the quality from 1 to 100 of those that have one."""

    format: Format = "png"
    quality: int = 95

    @property
    def has_sixteen_bits(self) -> bool:
        """Whether the format keeps 16 bits."""
        return self.format in ("png", "tiff")


def encode(colors: np.ndarray, opacity: np.ndarray | None, encoding: Encoding) -> bytes:
    """Return the bytes of an image file.

    Args:
        colors: H, W, 3 RGB or H, W gray, uint8 or uint16; uint16 for PNG and TIFF alone.
        opacity: H, W of the same type; None where the image has none.
        encoding: the format and its quality.

    Raises:
        CannotEncode: the format cannot hold the image.
    """
    kind, (height, width) = encoding.format, colors.shape[:2]
    longest = LONGEST_SIDE.get(kind)
    if longest and max(height, width) > longest:
        raise CannotEncode(f"{width}x{height} pixels are too many for {kind}, which has {longest:,} a side at most")
    if kind == "jpeg" and opacity is not None:
        raise CannotEncode("is transparent, which jpeg cannot be: write png or webp")
    if opacity is not None and colors.ndim == 2 and colors.dtype == np.uint8 and kind in ("png", "tiff"):
        return _gray_with_opacity(colors, opacity, kind)
    stored = colors[:, :, ::-1] if colors.ndim == 3 else colors
    if opacity is not None:
        # Nobody here writes gray of 16 bits with opacity: such images have three equal channels.
        three = stored if stored.ndim == 3 else np.repeat(stored[:, :, None], 3, axis=2)
        stored = np.dstack([three, opacity])
    done, data = cv2.imencode(ENDINGS[kind], np.ascontiguousarray(stored), _parameters(encoding))
    if not done:
        raise CannotEncode(f"could not be encoded as {kind}")
    return data.tobytes()


def _parameters(encoding: Encoding) -> list[int]:
    if encoding.format == "jpeg":
        return [cv2.IMWRITE_JPEG_QUALITY, encoding.quality]
    if encoding.format == "webp":  # OpenCV takes more than 100 for lossless
        return [cv2.IMWRITE_WEBP_QUALITY, encoding.quality + (encoding.quality >= LOSSLESS)]
    return []


def _gray_with_opacity(colors: np.ndarray, opacity: np.ndarray, kind: Format) -> bytes:
    from PIL import Image

    file = BytesIO()
    image = Image.fromarray(np.dstack([colors, opacity]))
    image.save(file, kind.upper(), **({"compression": "tiff_lzw"} if kind == "tiff" else {}))
    return file.getvalue()
