"""What a bare state dict says of the network that it belongs to."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def count_parts(state: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many different names follow a prefix: the length of a list of modules."""
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


def name_of(found: Mapping[str, Any], sizes: Mapping[str, Mapping[str, Any]], base: str) -> str:
    """Return the variant all of whose options were found, else the base of its family."""
    named = (name for name, size in sizes.items() if all(found.get(option) == value for option, value in size.items()))
    return next(named, base)
