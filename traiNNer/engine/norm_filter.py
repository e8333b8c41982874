"""Which steps are too large to be made, decided on the device."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

IN_A_ROW = 5


class NormFilter:
    """Skips steps whose gradient norm exceeds a limit, but no more than five in a row: the sixth is a new regime.

    From the sixth on they are accepted until a norm within the limit arrives, so that a run whose gradients have grown
    for good continues (clipped) while the limit follows.
    """

    def __init__(self) -> None:
        self._streak: Tensor | None = None

    def accepts(self, norm: Tensor, finite: Tensor, limit: float) -> Tensor:
        """Return whether to make the step, a 0-dim boolean tensor like `finite`; nothing here waits for the device.

        A step that is not finite is neither made nor counted.
        """
        if math.isinf(limit):
            return finite
        # By step-like tensors only: a new one from a Python number would be copied to the device.
        streak = torch.zeros_like(finite, dtype=torch.int32) if self._streak is None else self._streak.to(finite.device)
        large = finite & (norm > limit)
        exploding = large & (streak < IN_A_ROW)
        self._streak = torch.where(finite & ~large, 0, streak + exploding)
        return finite & ~exploding

    def state_dict(self) -> dict[str, Any]:
        """Return the steps skipped in a row until now; this waits for the device."""
        return {"streak": 0 if self._streak is None else int(self._streak)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._streak = torch.tensor(state["streak"], dtype=torch.int32)
