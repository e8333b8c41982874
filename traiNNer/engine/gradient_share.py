"""How much each loss pulls at the output of the network: its share in the gradient, measured when it is logged."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

SHARE = "share/"
SMALL, LARGE = 0.01, 0.95
LINES = 5
"""Log lines in a row after which a share is worth a warning."""


class GradientShares:
    """The shares of the loss terms in one iteration; the norms of their gradients for the output, over their sum.

    It costs one backward of every term down to the output, not through the network.
    """

    def __init__(self, is_due: Callable[[int], bool]) -> None:
        self.is_due = is_due

    def squares(
        self, terms: Mapping[str, Tensor], output: Tensor | None, gradient: Callable[[Tensor, list[Any]], Tensor]
    ) -> dict[str, Tensor]:
        """Return the squared norm of every term's gradient for the output of a micro-batch; nothing for one term.

        Args:
            terms: float32 scalars, as they are added up.
            output: what the network made.
            gradient: returns the gradient of a scalar for some tensors as one vector.
        """
        if output is None or len(terms) < 2:
            return {}
        return {name: gradient(term, [output]).float().square().sum() for name, term in terms.items()}

    @staticmethod
    def of(squares: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the shares by the names they have in the log, from squares added up over the micro-batches."""
        if not squares:
            return {}
        norms = {name: square.sqrt() for name, square in squares.items()}
        total = torch.stack(list(norms.values())).sum().clamp(min=1e-30)
        return {SHARE + name: norm / total for name, norm in norms.items()}


class ShareWatch:
    """Warns once of a loss that hardly counts, or that leaves nothing to the others."""

    def __init__(self) -> None:
        self._streaks: dict[str, int] = {}
        self._told: set[str] = set()

    def look(self, values: Mapping[str, float]) -> list[str]:
        """Check what a log line shows; return warnings."""
        shares = {name.removeprefix(SHARE): value for name, value in values.items() if name.startswith(SHARE)}
        return [self._describe(name, share) for name, share in shares.items() if self._is_news(name, share)]

    def _is_news(self, name: str, share: float) -> bool:
        self._streaks[name] = self._streaks.get(name, 0) + 1 if not SMALL <= share <= LARGE else 0
        if self._streaks[name] < LINES or name in self._told:
            return False
        self._told.add(name)
        return True

    def _describe(self, name: str, share: float) -> str:
        if share < SMALL:
            what = f"hardly counts, as it is under {SMALL:.0%}. Raise its loss_weight, or leave it out"
        else:
            what = f"leaves nothing to the others, as it is over {LARGE:.0%}. Lower its loss_weight, or raise theirs"
        return f"{name} makes {share:.1%} of the gradient at the output: it {what}."
