"""The best score so far of every metric."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Direction = Literal["higher", "lower"]


class BestScores:
    """Remembers value and iteration of the best score per metric; a score that is not a number is neither."""

    def __init__(self, directions: Mapping[str, Direction]) -> None:
        self.directions = dict(directions)
        self.scores: dict[str, tuple[float, int]] = {}

    def improved(self, scores: Mapping[str, float]) -> list[str]:
        """Return the metrics that are better than ever before. Nothing is noted yet."""
        return [name for name in self.directions if name in scores and self._is_better(name, scores[name])]

    def note(self, name: str, value: float, iteration: int) -> None:
        """Note the best score of a metric, once its weights are kept."""
        self.scores[name] = (value, iteration)

    def _is_better(self, name: str, value: float) -> bool:
        if math.isnan(value):
            return False
        if name not in self.scores:
            return True
        best = self.scores[name][0]
        return value > best if self.directions[name] == "higher" else value < best

    def forget(self, metrics: Iterable[str]) -> None:
        """Forget scores whose weights are gone: the next validation is the best one then."""
        for metric in metrics:
            self.scores.pop(metric, None)

    def state_dict(self) -> dict[str, Any]:
        """Return the scores as plain lists."""
        return {name: list(score) for name, score in self.scores.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.scores = {name: (value, iteration) for name, (value, iteration) in state.items()}
