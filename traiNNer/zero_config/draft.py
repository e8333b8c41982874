"""An option tree in the making: every value with the reason it was chosen for, and the user's own values above all."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from traiNNer.config.compat import move_sections
from traiNNer.config.effective import write_explained
from traiNNer.config.layout import AUTOMATIONS_AT
from traiNNer.config.load import Loaded, check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.overrides import parse_key
from traiNNer.config.tree import Node, Path, Report, key_of, node_of
from traiNNer.errors import ConfigError
from traiNNer.registry import fold

OVERRIDES, YOURS = "custom_overrides", "yours"


class Draft:
    """Decisions by key (`train.optim_g.lr`) in the order they will be written, and overrides that no decision replaces.

    Args:
        overrides: a tree as in an option file, in any accepted spelling (`val` under `train`); None resets to default.

    Raises:
        ConfigError: the overrides name one place twice, or are no tree.
    """

    def __init__(self, overrides: Mapping[str, Any] | None = None) -> None:
        self.reasons: dict[str, str] = {}
        self._decided: dict[str, Any] = {}
        self._overrides = node_of(dict(overrides or {}), source=OVERRIDES)
        report = Report()
        move_sections(self._overrides, TrainOptions, report)
        if report.problems:
            raise ConfigError(OVERRIDES, report.sorted())

    def decide(self, key: str, value: Any, reason: str = "") -> None:
        """Set a value, unless the user has given one. A key is written where it was first decided."""
        self._decided[key] = value
        self.reasons[key] = reason

    def is_given(self, key: str) -> bool:
        """Whether the overrides say something about this key, or about a section that it stands in."""
        node: Node | None = self._overrides
        path = parse_key(key)
        for position, part in enumerate(path):
            node = _entry(node, part, path[:position]) if node is not None else None
            if node is None:
                return False
            if node.value is None:
                return True
        return True

    def value(self, key: str) -> Any:
        """Return the active value at a key that was decided, overrides first."""
        node = self._root().at(parse_key(key))
        return None if node is None else node.plain()

    def tree(self) -> dict[str, Any]:
        """Return the tree as it would stand in a file: decisions with the overrides merged in deeply."""
        return self._root().plain()

    def checked(self) -> Loaded[TrainOptions]:
        """Check the tree like an option file. Raises `ConfigError` with every problem."""
        return check_tree(self._root(), TrainOptions, OVERRIDES)

    def yaml(self) -> str:
        """Return the tree as YAML, with the reason of every decision beside it."""
        root = self._root()
        return write_explained(root.plain(), self.reasons | dict.fromkeys(_given(root), YOURS))

    def _root(self) -> Node:
        root = node_of({})
        for key, value in self._decided.items():
            _place(root, parse_key(key), value)
        _merge(root, deepcopy(self._overrides), ())
        return root


def _place(root: Node, path: Path, value: Any) -> None:
    node = root
    for position, part in enumerate(path[:-1]):
        node = node.value.setdefault(part, Node({}, None, key_of(path[: position + 1])))
    node.value[path[-1]] = node_of(value, key_of(path))


def _entry(section: Node, part: str | int, above: Path) -> Node | None:
    """Return an entry of a section; automations are known under every spelling of their names."""
    if above == AUTOMATIONS_AT:
        return next((node for key, node in section.entries().items() if fold(key) == fold(str(part))), None)
    return section.child(part)


def _merge(base: Node, over: Node, path: Path) -> None:
    for key, node in over.entries().items():
        name = key
        if path == AUTOMATIONS_AT:
            name = next((known for known in base.entries() if fold(known) == fold(key)), key)
        mine = base.value.get(name)
        if mine is not None and node.value is None:
            del base.value[name]  # back to the default
        elif mine is not None and isinstance(mine.value, dict) and isinstance(node.value, dict):
            if _is_another(mine, node):
                mine.value = {}  # what was decided for one component says nothing of another
            _merge(mine, node, (*path, name))
        else:
            base.value[name] = node


def _is_another(mine: Node, other: Node) -> bool:
    """Tell whether both sections choose a component, and not the same one."""
    kinds = [node.value["type"].value for node in (mine, other) if "type" in node.value]
    return len(kinds) == 2 and fold(str(kinds[0])) != fold(str(kinds[1]))


def _given(node: Node, path: Path = ()) -> Iterator[str]:
    """Yield the keys of the values that are the user's."""
    if isinstance(node.value, dict) and node.value:
        for part, child in node.value.items():
            yield from _given(child, (*path, part))
    elif node.source == OVERRIDES:
        yield key_of(path)
