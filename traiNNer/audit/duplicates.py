"""Which images are the same: exactly, by a hash of their pixels, or nearly, by a hash of their look and a comparison.

The look is the signs of the 8 x 8 lowest frequencies of the image shrunk to 32 x 32 (the DCT hash known as pHash): it
survives another encoding, another size and a change of brightness. Hashes alone confuse images of like composition, so
every suspected pair is compared by the correlation of the small images, and of their detail.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 32
BITS_APART = 10
"""Hashes of 64 bits that differ in up to this many are compared; unrelated images differ in 32 on average."""
ALIKE, DETAIL_ALIKE = 0.985, 0.93
"""Correlation of the small images, and of what is left of them without a blur, from which two are the same."""
LEAST_SPREAD = 2.0
"""Images with a smaller standard deviation, in levels of 255, are alike because they are empty."""
ROWS = 256
_SET_BITS = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of an image.

    Args:
        content: hash of its pixels and its size.
        look: 64 bits, as eight bytes; empty for an image without contrast.
        small: 32 x 32 bytes, the image shrunk, with its contrast stretched; empty likewise.
    """

    content: bytes
    look: bytes
    small: bytes


def fingerprint(image: np.ndarray) -> Fingerprint:
    """Return the fingerprint of an H, W, 3 image of uint8 or uint16."""
    content = hashlib.blake2b(repr((image.shape, image.dtype.str)).encode(), digest_size=16)
    content.update(np.ascontiguousarray(image).data)
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).mean(axis=2)
    if image.dtype == np.uint16:
        small /= 257
    spread = float(small.std())
    if spread < LEAST_SPREAD:
        return Fingerprint(content.digest(), b"", b"")
    frequencies = cv2.dct(small)[:8, :8].ravel()
    look = np.packbits(frequencies > np.median(frequencies[1:])).tobytes()
    stretched = np.clip(np.rint((small - small.mean()) / spread * 40 + 128), 0, 255).astype(np.uint8)
    return Fingerprint(content.digest(), look, stretched.tobytes())


def exact_copies(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Yield (first, later) places of images with equal pixels; the first of each group stands for it."""
    groups: dict[bytes, int] = {}
    for place, mark in enumerate(prints):
        first = groups.setdefault(mark.content, place)
        if first != place:
            yield first, place


def near_copies(prints: Sequence[Fingerprint], split: int | None = None) -> Iterator[tuple[int, int, float]]:
    """Yield (earlier, later, correlation) of images that look the same but differ in pixels, the best earlier one.

    Args:
        prints: of the images.
        split: only images before this place are compared with those from it on; None: all with all.
    """
    usable = [place for place, mark in enumerate(prints) if mark.look]
    if len(usable) < 2:
        return
    looks = np.array([list(prints[place].look) for place in usable], np.uint8)
    best: dict[int, tuple[float, int]] = {}
    for start in range(0, len(usable), ROWS):
        apart = _SET_BITS[looks[start : start + ROWS, None] ^ looks[None]].sum(axis=2, dtype=np.uint8)
        for row, later in np.argwhere(apart <= BITS_APART):
            first, second = usable[start + row], usable[later]
            across = first < second if split is None else first < split <= second
            if not across or prints[first].content == prints[second].content:
                continue
            likeness = _likeness(prints[first], prints[second])
            if likeness > best.get(second, (0.0, 0))[0]:
                best[second] = (likeness, first)
    for second, (likeness, first) in sorted(best.items()):
        yield first, second, likeness


def _likeness(first: Fingerprint, second: Fingerprint) -> float:
    """Return the correlation of two small images, 0 when they are not the same picture."""
    one, other = (
        np.frombuffer(mark.small, np.uint8).reshape(SIDE, SIDE).astype(np.float32) for mark in (first, second)
    )
    likeness = _correlation(one, other)
    if likeness < ALIKE:
        return 0.0
    detail = _correlation(one - cv2.blur(one, (5, 5)), other - cv2.blur(other, (5, 5)))
    return likeness if detail >= DETAIL_ALIKE else 0.0


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float(np.sum(one * other) / np.sqrt(np.sum(one * one) * np.sum(other * other) + 1e-9))
