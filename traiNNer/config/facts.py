"""Single values of a file that is still being checked: what is written, else the default, and nothing that is wrong."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, TypeVar

from pydantic_core import PydanticUndefined

from traiNNer.config.layout import parts
from traiNNer.config.tree import DEFAULT, MOST_HINTS, Node, Path, Report, key_of, nearest
from traiNNer.registry import Component, StrictOptions

Kind = TypeVar("Kind", int, float, str, bool)


class Facts:
    """Reads values by canonical path. A value that a problem was reported for reads as None, so rules pass it over."""

    def __init__(
        self, root: Node, model: type[StrictOptions], chosen: Mapping[Path, Component], report: Report
    ) -> None:
        self.root, self.model, self.chosen, self.report = root, model, chosen, report

    def value(self, path: Path, kind: type[Kind]) -> Kind | None:
        """Return the active value at `path` if it is of `kind` and in order, else None."""
        node = self.root.at(path)
        found = self._default(path) if node is None else node.plain()
        if node is not None and node.key in self.report.bad:
            return None
        if isinstance(found, bool) and kind is not bool:
            return None
        if kind is float and isinstance(found, int):
            return kind(found)
        return found if isinstance(found, kind) else None

    def on(self, *path: str) -> bool:
        """Tell whether a switch is on."""
        return self.value(path, bool) is True

    def section(self, *path: str) -> Node | None:
        """Return a section that is written in the file, or None."""
        node = self.root.at(path)
        return node if node is not None and isinstance(node.value, dict) else None

    def entries(self, *path: str) -> dict[str, Node]:
        """Return what is written in a section."""
        node = self.section(*path)
        return node.entries() if node is not None else {}

    def problem(self, path: Path, message: str) -> None:
        """Report a problem where `path` is written, or where it is missing."""
        node = self.root.deepest(path)
        if node is self.root.at(path):
            self.report.at(node, message)
            return
        rest = path
        above = self.root
        while (following := above.child(rest[0])) is not None:
            above, rest = following, rest[1:]
        self.report.at(node, message, below=key_of(rest))

    def is_mistyped(self, key: str) -> bool:
        """Tell whether an unknown top-level key was probably meant to be `key`."""
        fields = self.model.model_fields
        unknown = islice((other for other in self.root.entries() if other not in fields), MOST_HINTS)
        return any(nearest(other, fields) == key for other in unknown)

    def place(self, *path: str) -> str:
        """Return where a value comes from: `line 12`, `--set` or `default`."""
        node = self.root.at(path)
        return DEFAULT if node is None else node.place()

    def _default(self, path: Path) -> Any:
        if path[:-1] in self.chosen and path[-1] in self.chosen[path[:-1]].options.model_fields:
            return _default_of(self.chosen[path[:-1]].options, str(path[-1]))
        model: type[StrictOptions] = self.model
        rest = list(path)
        while len(rest) > 1:
            part = parts(model).get(str(rest[0]))
            if part is None:
                return None
            model, rest = part.model, rest[1 if part.form == "one" else 2 :]
        return _default_of(model, str(rest[0])) if rest else None


def _default_of(model: type[StrictOptions], name: str) -> Any:
    field = model.model_fields.get(name)
    default = field.get_default(call_default_factory=True) if field is not None else None
    return None if default is PydanticUndefined else default
