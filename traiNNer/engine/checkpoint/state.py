"""What a training state consists of: one table of named statefuls, saved and restored by one loop."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import CheckpointError

FORMAT = 3
"""Of the training state. A state of another format is refused; weights files are readable whatever wrote them."""


class Stateful(Protocol):
    """Anything that remembers something between iterations."""

    def state_dict(self) -> dict[str, Any]:
        """Return what is remembered, as plain values and tensors."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Restore what `state_dict` returned."""
        ...


class StateTable(dict[str, Stateful]):
    """Statefuls by name, in the order in which they are restored; a table is a stateful itself.

    Args:
        entries: the statefuls by name.
        optional: names that a state may lack, because they were switched on later: these begin anew.
    """

    def __init__(self, entries: Mapping[str, Stateful], optional: Collection[str] = ()) -> None:
        super().__init__(entries)
        self.optional = frozenset(optional)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every entry."""
        return {name: stateful.state_dict() for name, stateful in self.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every entry. Raises `CheckpointError` for one that the state lacks, or that lacks a part."""
        missing = [name for name in self if name not in state and name not in self.optional]
        if missing:
            raise CheckpointError(f"Cannot resume: the training state lacks {', '.join(missing)}.")
        for name, stateful in self.items():
            if name in state:
                restore_part(name, partial(stateful.load_state_dict, state[name]))


def restore_part(name: str, restore: Callable[[], Any]) -> None:
    """Call what restores a part of a checkpoint. Raises `CheckpointError` where the part is not what it should be."""
    try:
        restore()
    except KeyError as missing:
        raise CheckpointError(f"Cannot resume: the training state lacks {missing.args[0]} of {name}.") from missing
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"Cannot resume: {name} in the training state is not what this version writes ({reason})."
        ) from error


class RandomState:
    """The random number generators of every rank; restored last, after everything that may draw from them."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def state_dict(self) -> dict[str, Any]:
        """Return the generators' states in rank order; all ranks have to ask."""
        return {"ranks": self.runtime.gather(self.runtime.rng.state())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore this rank's; a rank that was not there takes that of another one."""
        ranks = state["ranks"]
        self.runtime.rng.restore(ranks[self.runtime.rank % len(ranks)])


class Progress:
    """How far the run is: the last iteration that was trained, and the last one that was validated."""

    def __init__(self) -> None:
        self.iteration = 0
        self.validated = 0

    def note_validation(self) -> None:
        """Note that the last iteration was validated."""
        self.validated = self.iteration

    def state_dict(self) -> dict[str, Any]:
        """Return both."""
        return {"iteration": self.iteration, "validated": self.validated}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.iteration, self.validated = state["iteration"], state["validated"]
