"""Which steps are too large to be made, decided on the device."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

IN_A_ROW = 5


class NormGate:
    """Skips steps whose gradient norm exceeds a limit, but no more than five in a row: then it is a new regime."""

    def __init__(self) -> None:
        self._streak: Tensor | None = None

    def accepts(self, norm: Tensor, finite: Tensor, limit: float) -> Tensor:
        """Return whether to make the step, a 0-dim boolean tensor; nothing here waits for the device."""
        if math.isinf(limit):
            return finite
        streak = torch.zeros_like(norm, dtype=torch.int32) if self._streak is None else self._streak.to(norm.device)
        exploding = finite & (norm > limit) & (streak < IN_A_ROW)
        self._streak = torch.where(exploding, streak + 1, torch.where(finite, torch.zeros_like(streak), streak))
        return finite & ~exploding

    def state_dict(self) -> dict[str, Any]:
        """Return the steps skipped in a row until now."""
        return {"streak": 0 if self._streak is None else int(self._streak)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._streak = torch.tensor(state["streak"], dtype=torch.int32)
