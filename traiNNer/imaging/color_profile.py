"""Color profiles: what a file means by its numbers, converted to sRGB as every viewer shows it."""

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np

SAME_LEVELS = 2
"""Profiles that move no color by more than this many levels of 255 are sRGB, of which there are many editions."""
MOST_BYTES = 4 * 1024**2


def profile_name(profile: bytes, is_gray: bool) -> str:
    """Return the name of a profile that changes what is seen; empty for sRGB, and for one that cannot be used."""
    return _conversion(profile, is_gray)[0]


def to_srgb(image: np.ndarray, profile: bytes) -> np.ndarray:
    """Convert an H, W, 3 RGB uint8 image, or an H, W gray one, to H, W, 3 sRGB."""
    from PIL import Image, ImageCms

    _, transform = _conversion(profile, image.ndim == 2)
    converted = ImageCms.applyTransform(Image.fromarray(image), transform)
    return np.array(converted)


@lru_cache(maxsize=16)  # the images of a set share a few profiles
def _conversion(profile: bytes, is_gray: bool) -> tuple[str, Any]:
    from PIL import Image, ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), "L" if is_gray else "RGB", "RGB")
        name = ImageCms.getProfileName(opened).strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # damaged, or of another color space: viewers skip it
        return "", None
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    if is_gray:
        colors = np.arange(256, dtype=np.uint8)[None]
        expected = colors[:, :, None]
    else:
        colors = expected = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    seen = np.asarray(ImageCms.applyTransform(Image.fromarray(colors), transform)).astype(int)
    if np.abs(seen - expected).max() <= SAME_LEVELS:
        return "", None
    return name or "without a name", transform
