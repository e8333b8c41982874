"""Options as plain dictionaries and lists, and the places in them."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from traiNNer.config.tree import Path as KeyPath

Tree = dict[str, Any]


def sections(tree: Tree, place: str) -> list[tuple[str, Tree]]:
    """Return the sections at a place with their keys; `*` stands for every section or item of a level."""
    found: list[tuple[str, Any]] = [("", tree)]
    for step in place.split(".") if place else ():
        found = [
            (name, value)
            for where, section in found
            for key, name, value in _children(where, section)
            if step in ("*", key)
        ]
    return [(where, section) for where, section in found if isinstance(section, dict)]


def _children(where: str, section: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield key, whole key and value of what a section or list holds."""
    if isinstance(section, dict):
        yield from ((key, f"{where}.{key}".removeprefix("."), value) for key, value in section.items())
    elif isinstance(section, list):
        yield from ((str(place), f"{where}[{place}]", value) for place, value in enumerate(section))


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
