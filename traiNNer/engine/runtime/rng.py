"""The global random number generators: saved, restored, and left as they were."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


class RandomNumbers:
    """The random number generators of this process: those of torch, numpy, Python, and of the device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def seed(self, seed: int) -> None:
        """Begin every generator anew."""
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)

    def state(self) -> dict[str, Any]:
        """Return the state of every global random generator as plain lists and tensors."""
        numpy_state: Any = np.random.get_state()
        algorithm, keys, *rest = numpy_state
        state = {
            "torch": torch.get_rng_state(),
            "numpy": [algorithm, keys.tolist(), *rest],
            "python": list(random.getstate()[1]),
        }
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        torch.set_rng_state(state["torch"])
        algorithm, keys, *rest = state["numpy"]
        np.random.set_state((algorithm, np.array(keys, dtype=np.uint32), *rest))
        random.setstate((3, tuple(state["python"]), None))
        if "cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def snapshot(self) -> list[Tensor]:
        """Return the state of the generators that a network draws from: quicker than `state`."""
        states = [torch.get_rng_state()]
        return states + ([torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else [])

    def roll_back(self, states: Sequence[Tensor] | None) -> None:
        """Restore what `snapshot` returned, so that a step done again draws the same numbers."""
        if states:
            torch.set_rng_state(states[0])
        if states and self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)

    @contextmanager
    def saved(self) -> Iterator[None]:
        """Run a block whose random draws leave no trace."""
        state = self.state()
        try:
            yield
        finally:
            self.restore(state)
