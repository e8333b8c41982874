"""Options as plain dictionaries and lists, and the places in them."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from traiNNer.config.tree import Path as KeyPath

Tree = dict[str, Any]


def sections(tree: Tree, place: str) -> Iterator[tuple[str, Tree]]:
    """Yield the sections at a place with their keys; `*` stands for every section of a level."""
    found: list[tuple[str, Any]] = [("", tree)]
    for step in place.split(".") if place else ():
        found = [
            (f"{at}.{name}".removeprefix("."), value)
            for at, section in found
            if isinstance(section, dict)
            for name, value in section.items()
            if step in ("*", name)
        ]
    yield from ((at, section) for at, section in found if isinstance(section, dict))


def paths(tree: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the place of every section, item and value."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from paths(value, (*above, key))


def at(tree: Any, path: KeyPath) -> Any:
    """Return what stands at a place. Raises `KeyError` or `IndexError`."""
    for part in path:
        tree = tree[part]
    return tree


def without(tree: Tree, path: KeyPath) -> Tree:
    """Return a copy that lacks what stands at a place."""
    copied = deepcopy(tree)
    del at(copied, path[:-1])[path[-1]]
    return copied
