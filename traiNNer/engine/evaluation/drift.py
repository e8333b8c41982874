"""What a GAN does to an image besides sharpening it: colors that move, and fine detail that nobody photographed."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

COLOR, LOW_PASS, DETAIL = "drift_color", "drift_lowpass", "detail_ratio"
CELL = 8
"""Side of the cells that the low-pass images are means of, in LQ pixels."""
ROUNDING = (0.5 / 255) ** 2
"""Energy below which detail is only rounding."""
IN_A_ROW = 3
LIMITS = {
    COLOR: (3.0, "the mean color of the output is more than 3 gray levels away from that of the LQ image"),
    LOW_PASS: (5.0, "without its detail the output is more than 5 gray levels away from the LQ image"),
    DETAIL: (1.5, "the output has over 1.5 times the fine detail of the ground truth, so much of it is invented"),
}


@torch.no_grad()
def drift(output: Tensor, lq: Tensor, target: Tensor | None, scale: int) -> dict[str, float]:
    """Return how far an output has left its LQ image, and how much fine detail it has.

    Args:
        output: 3, sH, sW in [0, 1]; values beyond are cut off, as in an image.
        lq: 3, H, W.
        target: the ground truth, 3, sH, sW; None if there is none.
        scale: s.

    Returns:
        `drift_color`: the difference of the mean colors in gray levels, of the channel where it is largest;
        `drift_lowpass`: the mean difference of cells of 8 x 8 LQ pixels, in gray levels; and with a ground truth
        `detail_ratio`: the energy of what is finer than an LQ pixel, over that of the ground truth.
    """
    output = output.clamp(0, 1)
    color = (output.mean((1, 2)) - lq.mean((1, 2))).abs().max()
    side = min(CELL, *lq.shape[1:])
    low = (_cells(output, side * scale) - _cells(lq, side)).abs().mean()
    values = {COLOR: 255 * color.item(), LOW_PASS: 255 * low.item()}
    if target is not None:
        ours, theirs = (_fine_energy(image, max(2, scale)) for image in (output, target))
        values[DETAIL] = ((ours + ROUNDING) / (theirs + ROUNDING)).item()
    return values


class DriftWatch:
    """Warns of a value that is beyond its limit in several validations in a row: a new network begins there."""

    def __init__(self) -> None:
        self._streaks: dict[tuple[str, str], int] = {}

    def look(self, title: str, means: Mapping[str, float]) -> list[str]:
        """Check the means over the set `title`; return warnings."""
        found = []
        for name, (limit, text) in LIMITS.items():
            at = title, name
            self._streaks[at] = self._streaks.get(at, 0) + 1 if means.get(name, 0.0) > limit else 0
            if self._streaks[at] == IN_A_ROW:
                found.append(f"{title}: {text}. A lower loss_weight of ganloss, or a pixel loss, helps")
        return found


def _cells(image: Tensor, side: int) -> Tensor:
    """Return the means of whole square cells; what is left at the right and below is passed over."""
    return F.avg_pool2d(image.unsqueeze(0), side)[0]


def _fine_energy(image: Tensor, side: int) -> Tensor:
    """Return the variance inside the cells."""
    return (_cells(image.square(), side) - _cells(image, side).square()).mean()
