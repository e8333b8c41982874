"""Clips: which frames are seen around the one that is made, and where a scene ends.

A cut is found in passing, by comparing the frames of one window with each other: nothing has to be read beforehand, and
a film is cut alike when a network is trained, validated and used. `benchmarks/scene_cuts.py` measures how well.
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

SIDE = 32
"""Pixels of the square to which frames are shrunk before they are compared."""
UNLIKE, STANDS_OUT = 0.4, 1.5
"""A cut has at least this distance, and so many times that of the steps before and after it."""
ALONE = 0.6
"""The distance that is needed where the window has no step beside it."""
FLAT = 4.0
"""Variance in squared levels of 255 that noise may have: flat frames are alike."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def window(place: int, frames: int, length: int) -> list[int]:
    """Return which of `length` frames are seen around one, in order; at both ends the last frame stands in."""
    half = frames // 2
    return [min(max(place + offset, 0), length - 1) for offset in range(-half, half + 1)]


def miniature(frame: np.ndarray) -> np.ndarray:
    """Return the luma of an H, W, 3 uint8 or uint16 frame, shrunk to 32 x 32, float32 in levels of 255."""
    small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) @ LUMA
    return small / np.float32(257 if frame.dtype == np.uint16 else 1)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return 1 less the correlation of two miniatures: 0 for equal ones, about 1 for those of unrelated frames."""
    a, b = one - one.mean(), other - other.mean()
    powers = (float(np.mean(a * a)) + FLAT, float(np.mean(b * b)) + FLAT)
    return 1 - (float(np.mean(a * b)) + FLAT) / (powers[0] * powers[1]) ** 0.5


def cuts(miniatures: Sequence[np.ndarray]) -> list[bool]:
    """Return for every step from one frame to the next whether a scene ends there.

    A step is a cut where the frames do not resemble each other, and do so much less than those of the steps beside it:
    fast motion makes many such steps in a row, a flash two.
    """
    steps = [distance(one, other) for one, other in pairwise(miniatures)]
    found = []
    for place, step in enumerate(steps):
        beside = steps[max(0, place - 1) : place] + steps[place + 1 : place + 2]
        found.append(step >= max(UNLIKE, STANDS_OUT * max(beside)) if beside else step >= ALONE)
    return found


def within_scene(places: Sequence[int], miniatures: Sequence[np.ndarray]) -> list[int]:
    """Return the places of a window without those beyond a cut; the last frame of the scene stands in for them.

    Args:
        places: of the frames, in order, the one that is made in the middle.
        miniatures: of the same frames.
    """
    distinct = list(dict.fromkeys(places))
    found = cuts([miniatures[places.index(place)] for place in distinct])
    middle = distinct.index(places[len(places) // 2])
    first = max((place + 1 for place in range(middle) if found[place]), default=0)
    last = next((place for place in range(middle, len(found)) if found[place]), len(distinct) - 1)
    return [min(max(place, distinct[first]), distinct[last]) for place in places]
