"""What was done to one image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from traiNNer.estimate.blur import fit_jpeg, fit_pixels
from traiNNer.estimate.chroma import subsampling
from traiNNer.estimate.noise import is_gray, noise_level
from traiNNer.estimate.scaling import enlargement
from traiNNer.estimate.spectrum import Fit
from traiNNer.imaging.image_file import ImageError, read_image
from traiNNer.imaging.jpeg_tables import read_tables, standard_steps
from traiNNer.imaging.jpeg_traces import jpeg_quality

WINDOW, GRID = 768, 16
LEAST_SIDE = 96
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
HIDDEN = 0.4
"""Noise below this share of the middle step of a JPEG's quantization is gone, or looks like more than it was."""
SLIGHT_NOISE, SLIGHT_BLUR = 2.5, 0.55
"""Noise and blur that photos have by themselves."""
Quantity = Literal["enlarged", "blur", "noise", "quality"]


@dataclass(frozen=True)
class Picture:
    """The estimates of one image; None where nothing was done, or nothing of it can be seen.

    Args:
        quality: of its JPEG compression, 1 to 100.
        is_exact: whether the quality is read from the tables of the file.
        subsampling: how its JPEG stores color: `444`, `422` or `420`.
        noise: standard deviation in steps of 255.
        is_gray: whether the noise is the same in every channel; None where that cannot be seen.
        blur: width of the Gaussian in pixels of the image.
        enlarged: the factor by which it was once enlarged.
        hidden: what something else hides, so that None says nothing of it.
    """

    quality: float | None = None
    is_exact: bool = False
    subsampling: str | None = None
    noise: float | None = None
    is_gray: bool | None = None
    blur: float | None = None
    enlarged: float | None = None
    hidden: frozenset[Quantity] = frozenset()

    def value(self, quantity: Quantity) -> float | None:
        """Return an estimate by its name."""
        return getattr(self, quantity)


def inspect(path: Path) -> Picture:
    """Decode an image and estimate what was done to it.

    Raises:
        ImageError: it cannot be read or decoded, or has a side below 96 pixels.
    """
    image = read_image(path)
    if min(image.shape[:2]) < LEAST_SIDE:
        raise ImageError(path, f"smaller than {LEAST_SIDE} pixels")
    rgb = middle(image)
    luma = rgb @ LUMA
    tables = read_tables(path.read_bytes())
    quality = float(tables.quality) if tables else jpeg_quality(luma)
    level = noise_level(luma)
    factor = enlargement(luma, level or 0.0, is_jpeg=quality is not None)
    if quality is None:
        return _of_pixels(rgb, luma, level, factor)
    steps = tables.luma if tables else standard_steps(round(min(max(quality, 1), 100)))
    chroma = tables.subsampling if tables else subsampling(rgb)
    noise = level if level is not None and level >= max(SLIGHT_NOISE, HIDDEN * float(np.median(steps))) else None
    # Noise and the filter of an enlargement both change what a spectrum shows of blur.
    blur = None if noise or factor else _blur(fit_jpeg(luma, steps))
    hidden: set[Quantity] = {"blur"} if noise or factor else set()
    if noise is None and HIDDEN * float(np.median(steps)) > SLIGHT_NOISE:
        hidden.add("noise")
    return Picture(quality, tables is not None, chroma, noise, None, blur, factor, frozenset(hidden))


def middle(image: np.ndarray) -> np.ndarray:
    """Return the middle of an H, W, 3 image as float32 in 0..255, JPEG blocks beginning where it does."""
    top, left = (max(0, (side - WINDOW) // 2) // GRID * GRID for side in image.shape[:2])
    part = image[top : top + WINDOW, left : left + WINDOW].astype(np.float32)
    return part / np.float32(257 if image.dtype == np.uint16 else 1)


def _of_pixels(rgb: np.ndarray, luma: np.ndarray, level: float | None, factor: float | None) -> Picture:
    noise = noise_level(rgb[..., 1])
    noise = noise if noise is not None and noise >= SLIGHT_NOISE else None
    gray = is_gray(rgb, noise) if noise else None
    blur = None if factor else _blur(fit_pixels(luma, level or 0.0))
    hidden: frozenset[Quantity] = frozenset({"blur"} if factor else ())
    return Picture(noise=noise, is_gray=gray, blur=blur, enlarged=factor, hidden=hidden)


def _blur(found: Fit | None) -> float | None:
    return found.blur if found and found.blur >= SLIGHT_BLUR else None
