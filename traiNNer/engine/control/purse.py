"""What the automations may cost a run: a small share of its iterations. What they spend is counted and told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHARE = 0.02


@dataclass
class Purse:
    """Counts iterations that were lost to rollbacks or spent under a temporary cut, and the moves of knobs.

    A cut that lasts was proven (a plateau, a rate that diverged) and costs nothing: the first would forbid the next.

    Args:
        total: length of the run.
    """

    total: int
    spent: int = 0
    moves: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the automations may from now on only protect and report."""
        return self.spent >= SHARE * self.total

    def spend(self, iterations: int) -> bool:
        """Count iterations; return whether they emptied the purse."""
        was_empty = self.is_empty
        self.spent += iterations
        return self.is_empty and not was_empty

    def count_move(self) -> None:
        """Count a move of a knob, whatever its reason."""
        self.moves += 1

    def __str__(self) -> str:
        """Return the price so far in words."""
        share = f"{100 * self.spent / self.total:.2g} % of {100 * SHARE:g} %"
        return f"price: {self.spent:,} iterations, {self.moves:,} moves, purse {share}"

    def numbers(self) -> dict[str, float]:
        """Return the price so far for the record."""
        return {"iterations": self.spent, "moves": self.moves, "share": self.spent / self.total, "limit": SHARE}

    def state_dict(self) -> dict[str, Any]:
        """Return both counts."""
        return {"spent": self.spent, "moves": self.moves}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.spent, self.moves = state["spent"], state["moves"]
