"""Halftone: the dots of printed pictures."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.protocol import Degradation, Span, column, require_span
from traiNNer.registry import DEGRADATIONS

ANGLES = (15.0, 75.0, 0.0)
"""Degrees between the screens of cyan, magenta and yellow, and the axes, as printers turn them."""
ENTRIES = 512


@DEGRADATIONS.register()
class Halftone(Degradation):
    """Print with dots of cyan, magenta and yellow whose area is the amount of ink.

    Args:
        period: least and most distance of two dots in pixels.
        strength: least and most share of the change; 1 is a bare print, less one that was smoothed again.
        softness: width of the edge of a dot, in shares of the ink: 0 is hard.
    """

    def __init__(self, period: Span = (2.5, 6.0), strength: Span = (0.3, 0.9), softness: float = 0.3) -> None:
        require_span(period, "period", 2)
        require_span(strength, "strength")
        require_span((0, softness), "softness")
        self.period, self.strength, self.softness = period, strength, softness

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """Return the printed images, B, 3, H, W."""
        period, turn = draws.uniform("period", *self.period), draws.uniform("turn", 0, 90)
        strength = column(draws.uniform("strength", *self.strength), images)
        rows, columns = (torch.arange(side, device=images.device, dtype=torch.float32) for side in images.shape[-2:])
        angle = np.deg2rad(turn[:, None] + np.array(ANGLES)[: images.shape[1]])
        step = 2 * np.pi / period[:, None]
        cos, sin = (
            torch.from_numpy((step * part(angle)).astype(np.float32)).to(images.device)[:, :, None, None]
            for part in (np.cos, np.sin)
        )
        along, across = cos * columns + sin * rows[:, None], cos * rows[:, None] - sin * columns
        threshold = _ranked((torch.cos(along) + torch.cos(across)) / 2)
        ink = 1 - images
        soft = max(self.softness, 1e-4)
        # The width shrinks near white and black, so that no ink is none and full ink is full.
        width = soft * (4 * ink * (1 - ink)).clamp(min=1e-4)
        dots = ((ink - threshold) / width + 0.5).clamp(0, 1)
        return images + strength * (1 - dots - images)


def _ranked(waves: Tensor) -> Tensor:
    """Return the share of a screen's area that lies above each height, so that dots cover as much as there is ink."""
    table = torch.from_numpy(_shares()).to(waves.device)
    place = ((1 - waves) * (ENTRIES / 2)).clamp(0, ENTRIES - 1e-3)
    left = place.long()
    return torch.lerp(table[left], table[left + 1], place - left)


@lru_cache(maxsize=1)
def _shares() -> np.ndarray:
    axis = np.cos((np.arange(1024) + 0.5) * 2 * np.pi / 1024)
    heights = np.sort(((axis + axis[:, None]) / 2).ravel())
    levels = 1 - 2 * np.arange(ENTRIES + 1) / ENTRIES
    return (1 - np.searchsorted(heights, levels) / heights.size).astype(np.float32)
