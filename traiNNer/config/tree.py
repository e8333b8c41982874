"""An option file as values that remember where they were written, and the report of what is wrong with them."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from traiNNer.config.yaml.scalars import plain_scalar
from traiNNer.errors import Problem

Path = tuple[str | int, ...]
FILE, COMMAND_LINE, DEFAULT = "file", "--set", "default"


def key_of(path: Path) -> str:
    """Return a path as a user writes it: `train.losses[1].type`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


LONGEST_WORD = 64
"""Characters of a word that may be a mistyped name; a longer one is none."""
MOST_HINTS = 100
"""Problems up to which a nearest name is looked for: a file with more of them is no option file."""


def nearest(word: str, known: Iterable[str], cutoff: float | None = None) -> str | None:
    """Return the known name that `word` was probably meant to be, in any letter case."""
    if len(word) > LONGEST_WORD:
        return None
    folded = {name.lower(): name for name in known}
    least = cutoff or (0.6 if len(word) > 3 else 0.5)
    close = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=least)
    return folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing."""
    found = nearest(word, known)
    return f"; did you mean '{found}'?" if found else ""


@dataclass
class Node:
    """A value of the file: a scalar, a list of nodes, or a dictionary of nodes by key.

    `key` is the path as the user wrote it, which stays when a section is moved to its canonical place.
    """

    value: Any
    line: int | None = None
    key: str = ""
    source: str = FILE
    text: str | None = None
    """A scalar as it stands in the file, without its quotes: `1.10` for the number 1.1."""

    def plain(self) -> Any:
        """Return the value without any memory of where it stood."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def child(self, part: str | int) -> "Node | None":
        """Return one entry of a section or list, or None."""
        if isinstance(self.value, dict):
            return self.value.get(part)
        if isinstance(self.value, list) and isinstance(part, int) and part < len(self.value):
            return self.value[part]
        return None

    def at(self, path: Path) -> "Node | None":
        """Return the node at a path below this one, or None."""
        node: Node | None = self
        for part in path:
            node = node.child(part) if node is not None else None
        return node

    def deepest(self, path: Path) -> "Node":
        """Return the last node that exists on the way to `path`."""
        node = self
        for part in path:
            following = node.child(part)
            if following is None:
                return node
            node = following
        return node

    def entries(self) -> dict[str, "Node"]:
        """Return the keys of a section; empty when this is none."""
        return self.value if isinstance(self.value, dict) else {}

    def renamed(self, key: str) -> "Node":
        """Return a deep copy whose keys say that it stands at `key`."""
        if isinstance(self.value, dict):
            value: Any = {name: child.renamed(f"{key}.{name}" if key else name) for name, child in self.value.items()}
        elif isinstance(self.value, list):
            value = [child.renamed(f"{key}[{index}]") for index, child in enumerate(self.value)]
        else:
            value = self.value
        return Node(value, self.line, key, self.source, self.text)

    def place(self) -> str:
        """Return where it was written: `line 12` or `--set`."""
        return f"line {self.line}" if self.source == FILE and self.line is not None else self.source


@dataclass
class Report:
    """Everything found on the way: problems that refuse the file, warnings that do not."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """What was read under another name, with another value or not at all: for whoever wonders what became of a key."""
    spellings: list[str] = field(default_factory=list)
    """Keys in another place or spelling than their usual one, where they mean the same."""
    passed_over: list[str] = field(default_factory=list)
    """Keys, as written, that have no effect here, of those in `changes`."""
    theirs: dict[str, Any] = field(default_factory=dict)
    """What options that the file leaves out stand for in the framework it is written for, by key."""
    bad: set[str] = field(default_factory=set)
    """Keys, as written, that a problem was reported for: no second problem is built on them."""

    def at(self, node: Node, message: str, *, below: str = "", show: bool = True) -> None:
        """Report `message` for a node, or for the missing key `below` it."""
        key = f"{node.key}.{below}".removeprefix(".") if below else node.key
        if key not in self.bad:
            self.bad.add(key)
            origin = f"{COMMAND_LINE} " if node.source == COMMAND_LINE else ""
            value = shown(node) if show and not below else None
            line = node.line if node.key else None  # what the whole file lacks has no line
            self.problems.append(Problem(origin + key, message, line, value))

    def changed(self, node: Node, text: str) -> None:
        """Note what became of a key that the file writes in another way than it is used."""
        self.changes.append(f"{node.key} ({node.place()}): {text}")

    def passed(self, node: Node, why: str, what: str = "") -> None:
        """Note that a key has no effect, and why; `what` names a whole item of a list."""
        self.passed_over.append(node.key)
        self.changed(node, f"{what} passed over; {why}".strip())

    def spelled(self, node: Node, text: str) -> None:
        """Note that a key was read as its usual spelling."""
        self.spellings.append(f"{node.key} ({node.place()}): {text}")

    @property
    def is_full(self) -> bool:
        """Whether so many problems were found that hints for further ones would help nobody."""
        return len(self.problems) >= MOST_HINTS

    def sorted(self) -> list[Problem]:
        """Return the problems in the order of the file; those of the command line last."""
        return sorted(self.problems, key=lambda problem: (problem.line is None, problem.line or 0))


def looks_like_other(text: str) -> bool:
    """Whether a text would be read as a number, a boolean or null if it stood without quotes."""
    try:
        return not isinstance(plain_scalar(text), str)
    except ValueError:
        return True


def shown(node: Node) -> str | None:
    """Return a scalar, or a list of scalars, as a short text for a message; None for a section."""
    value = node.plain()
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        return None
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str | list) and node.text:
        text = node.text
    if isinstance(value, str) and looks_like_other(value):
        text = f'"{value}"'  # the quotes are what makes it a text
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def node_of(value: Any, key: str = "", source: str = FILE) -> Node:
    """Return plain values as a tree whose nodes know their keys."""
    if isinstance(value, Mapping):
        entries = {str(name): node_of(item, f"{key}.{name}".removeprefix("."), source) for name, item in value.items()}
        return Node(entries, None, key, source)
    if isinstance(value, list | tuple):
        items = [node_of(item, f"{key}[{place}]", source) for place, item in enumerate(value)]
        return Node(items, None, key, source)
    return Node(str(value) if isinstance(value, FilePath) else value, None, key, source)
