"""What a run trains as it was a while ago, kept in memory to roll back to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from traiNNer.engine.learner import Learner, host_copies
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.models.protocol import TrainableModel


class Snapshot:
    """Takes and restores one snapshot of every learner and of the model; it lies in host memory and in the state."""

    def __init__(self, learners: Mapping[str, Learner], model: TrainableModel) -> None:
        self.learners = dict(learners)
        self.model = model
        self.kept: dict[str, Any] | None = None

    def take(self) -> None:
        """Keep the present state, in place of the one before."""
        self.kept = {
            "learners": {name: learner.snapshot() for name, learner in self.learners.items()},
            "model": host_copies(deepcopy(self.model.state_dict())),
        }

    def restore(self) -> bool:
        """Return to what was kept; False when there is nothing. Learning rates and iteration stay as they are."""
        if self.kept is None:
            return False
        for name, learner in self.learners.items():
            learner.roll_back(self.kept["learners"][name])
        self.model.load_state_dict(deepcopy(self.kept["model"]))
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept, for the training state."""
        return {"kept": self.kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.kept = state["kept"]


@contextmanager
def restore_on_exit(learners: Mapping[str, Learner], model: TrainableModel, runtime: Runtime) -> Iterator[None]:
    """Run a block that trains, and undo it afterwards: weights, moments, model, random numbers, fp16 scale."""
    before, rng = Snapshot(learners, model), runtime.rng.snapshot()
    scale = runtime.scaler.state_dict() if runtime.scaler else None
    before.take()
    yield
    before.restore()
    runtime.rng.roll_back(rng)
    if runtime.scaler and scale:
        runtime.scaler.load_state_dict(scale)
