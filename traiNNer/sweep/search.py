"""Values for the next trial, by optuna from the trials so far."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from traiNNer.errors import ConfigError
from traiNNer.sweep.axes import Axis, Range
from traiNNer.sweep.record import Trial
from traiNNer.traits import Requirement

OPTUNA = Requirement("optuna", "pip install optuna")
Value = float | int | str


class Search:
    """Proposes trials; what it proposes depends on the axes, the seed and the trials before.

    Args:
        axes: ranges, and lists of values to choose from.
        seed: of the random choices.
        is_lower_better: whether a smaller score is the better one.

    Raises:
        ConfigError: optuna is not installed.
    """

    def __init__(self, axes: Sequence[Axis | Range], seed: int, is_lower_better: bool) -> None:
        if not OPTUNA.is_met:
            raise ConfigError(f"--trials {OPTUNA.reason}")
        self.axes = axes
        self.seed = seed
        self.direction: Literal["minimize", "maximize"] = "minimize" if is_lower_better else "maximize"

    def propose(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the values of the next trial by key."""
        import optuna  # pyright: ignore[reportMissingImports] - an extra

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        choices = self._choices()
        # A new study each time, told all trials: a sweep that was stopped continues like one that was not.
        sampler = optuna.samplers.TPESampler(seed=self.seed + len(trials))
        study = optuna.create_study(direction=self.direction, sampler=sampler)
        for trial in trials:
            if trial.score is not None and trial.values.keys() == choices.keys():
                made = optuna.trial.create_trial(
                    params=dict(trial.values), distributions=dict(choices), value=trial.score
                )
                study.add_trial(made)
        return dict(study.ask(dict(choices)).params)

    def _choices(self) -> Mapping[str, Any]:
        import optuna  # pyright: ignore[reportMissingImports] - an extra

        found: dict[str, Any] = {}
        for axis in self.axes:
            if isinstance(axis, Axis):
                found[axis.key] = optuna.distributions.CategoricalDistribution(axis.values)
            elif axis.is_whole:
                low, high = int(axis.low), int(axis.high)
                found[axis.key] = optuna.distributions.IntDistribution(low, high, log=axis.in_powers)
            else:
                found[axis.key] = optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.in_powers)
        return found


def written(value: Value) -> str:
    """Return a value as it stands in an option file; floats in a form that YAML reads as numbers."""
    return f"{value:.6e}" if isinstance(value, float) else str(value)
