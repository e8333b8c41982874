"""From the bytes of a file to the pixels that are seen: by the decoder that is right for the kind, and heard."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np

from traiNNer.imaging.color_profile import to_srgb
from traiNNer.imaging.decoder_messages import decoder_heard
from traiNNer.imaging.headers import Decoder, Parsed, Unusable, without_animation
from traiNNer.imaging.tiff_tags import EXTRA_SAMPLES, ORIENTATION, one_plane, read_tiff_tags

LOG_ERRORS = 2
WHITE = 65535

# Errors of its decoders are printed, where `decoder_heard` finds them. OpenCV moved the function in version 5.
if hasattr(cv2, "setLogLevel"):
    cv2.setLogLevel(LOG_ERRORS)  # pyright: ignore[reportAttributeAccessIssue] - not in every version
else:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
# Data workers have a core each. Said before any is forked: one that is set afterwards waits forever for the
# threads that OpenCV had in the main process.
cv2.setNumThreads(1)


@dataclass(frozen=True)
class Seen:
    """An image as it is seen: H, W, 3 sRGB colors, and H, W opacity (None where it has none), uint8 or uint16 both."""

    colors: np.ndarray
    opacity: np.ndarray | None


Stored = tuple[np.ndarray, np.ndarray | None]
"""What a decoder gives: H, W or H, W, 3 colors, and H, W opacity."""


def decode(content: bytearray, parsed: Parsed) -> Seen:
    """Decode an image, turned and colored as it is seen.

    Args:
        content: the whole file.
        parsed: what its header says.

    Raises:
        Unusable: it cannot be decoded, or the decoder reports damage.
    """
    with decoder_heard() as heard:
        stored = DECODERS[parsed.decoder](content, parsed)
    if stored is None:
        raise Unusable("damaged: cannot be decoded")
    image, opacity = stored
    if heard.damage:
        raise Unusable(f"damaged: {heard.damage}")
    header = parsed.header
    height, width = (header.height, header.width) if header.orientation < 5 else (header.width, header.height)
    if image.shape[:2] != (height, width):
        raise Unusable(f"damaged: not the {width}x{height} pixels that its header promises")
    if image.dtype != (np.uint16 if header.bits > 8 else np.uint8):
        raise Unusable(f"{header.bits} bits of this kind are not supported, convert it to PNG")
    colors = _turned(to_srgb(image, parsed.profile) if parsed.profile else _three(image), header.orientation)
    return Seen(colors, None if opacity is None else _turned(opacity, header.orientation))


def _three(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image as the eight numbers of EXIF say; 1 is returned as it is."""
    if orientation == 1:
        return image
    if orientation > 4:
        image = image.swapaxes(0, 1)
    down = -1 if orientation in (3, 4, 7, 8) else 1
    right = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(image[::down, ::right])


def _with_opencv(content: bytearray, parsed: Parsed) -> Stored | None:
    _undo_tiff_conversions(content)
    try:
        # "Unchanged" also means: as stored, whatever the EXIF data say of the orientation.
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if image is None else _split(image, parsed)


def _split(image: np.ndarray, parsed: Parsed) -> Stored:
    """Return colors and opacity of what OpenCV decoded."""
    if image.ndim == 2:
        return WHITE - image if parsed.inverted else image, None
    if image.shape[2] <= 2:
        opacity = image[:, :, 1] if image.shape[2] == 2 else None
        return _colors(image[:, :, 0], opacity, parsed), opacity
    if image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None
    opacity = image[:, :, 3]
    if parsed.premultiplied:
        return _colors(image[:, :, 2::-1], opacity[:, :, None], parsed), opacity
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB), opacity


def _with_pillow(content: bytearray, _: Parsed) -> Stored | None:
    from PIL import BmpImagePlugin, Image, TiffImagePlugin

    _undo_orientation(content)
    # Formats whose size we have read ourselves are opened directly: Pillow has a lower limit.
    openers: dict[bytes, Callable[[BytesIO], Image.Image]] = {
        b"BM": BmpImagePlugin.BmpImageFile,
        b"II": TiffImagePlugin.TiffImageFile,
        b"MM": TiffImagePlugin.TiffImageFile,
    }
    try:
        with openers.get(bytes(content[:2]), Image.open)(BytesIO(content)) as image:
            has_opacity = "A" in image.getbands() or "transparency" in image.info
            opacity = np.array(image.convert("RGBA"))[:, :, 3] if has_opacity else None
            return np.array(image if image.mode == "L" else image.convert("RGB")), opacity
    except Exception as error:  # its decoders raise whatever comes up
        raise Unusable(f"cannot be decoded ({str(error) or type(error).__name__}), convert it to PNG") from None


def _planes(content: bytearray, parsed: Parsed) -> Stored | None:
    """Read a TIFF of 16 bits that keeps its channels apart, one after the other: OpenCV takes them for one."""
    tags = read_tiff_tags(BytesIO(content))
    planes = []
    for plane in range(tags.one(277, 1)):
        single = one_plane(bytes(content), tags, plane)
        image = cv2.imdecode(np.frombuffer(single, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 2:
            return None
        planes.append(image)
    count = 1 if len(planes) < 3 else 3
    colors = np.dstack(planes[:count]) if count == 3 else planes[0]
    opacity = planes[-1] if parsed.header.has_alpha else None
    spread = opacity[:, :, None] if opacity is not None and count == 3 else opacity
    return _colors(colors, spread, parsed), opacity


def _still(content: bytearray, parsed: Parsed) -> Stored | None:
    """Read the still image of an animated PNG: OpenCV takes a later frame for it."""
    return _with_opencv(bytearray(without_animation(bytes(content))), parsed)


def _colors(colors: np.ndarray, alpha: np.ndarray | None, parsed: Parsed) -> np.ndarray:
    """Return 16-bit colors with the smallest number black, and not multiplied by their opacity."""
    if parsed.inverted:
        colors = WHITE - colors
    if parsed.premultiplied and alpha is not None:
        opacity = np.maximum(alpha, 1).astype(np.uint32)
        colors = np.minimum(colors.astype(np.uint32) * WHITE // opacity, WHITE).astype(np.uint16)
    return np.ascontiguousarray(colors)


DECODERS: dict[Decoder, Callable[[bytearray, Parsed], Stored | None]] = {
    Decoder.OPENCV: _with_opencv,
    Decoder.PILLOW: _with_pillow,
    Decoder.PLANES: _planes,
    Decoder.STILL: _still,
}


def _undo_tiff_conversions(content: bytearray) -> None:
    """Mark a TIFF as upright and its colors as final: the decoder would turn it and darken them by their alpha."""
    _undo(content, (ORIENTATION, EXTRA_SAMPLES))


def _undo_orientation(content: bytearray) -> None:
    """Mark a TIFF as upright: some versions of Pillow turn it, others do not."""
    _undo(content, (ORIENTATION,))


def _undo(content: bytearray, conversions: tuple[int, ...]) -> None:
    if content[:4] not in (b"II*\x00", b"MM\x00*"):
        return
    tags = read_tiff_tags(BytesIO(content))
    for tag in conversions:
        if len(tags.values.get(tag, ())) == 1:
            struct.pack_into(f"{tags.order}H", content, tags.places[tag], 1)
