"""How an arch registers with what it declares about itself; the table of what can be declared is `ArchTraits`."""

from collections.abc import Callable
from typing import Any

from traiNNer.registry import ARCHS, Builder
from traiNNer.traits import ArchTraits, Recipe

__all__ = ["ArchTraits", "Recipe", "arch"]


def arch(**traits: Any) -> Callable[[Builder], Builder]:
    """Register a network class or factory with the fields of `ArchTraits`; read them as `ARCHS[name].traits`.

    Raises:
        TypeError: there is no such field.
        ValueError: a value that no network can have.
    """
    return ARCHS.register(**traits)
