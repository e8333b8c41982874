"""The active options, in the form of a file: every value, and where it came from."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from traiNNer.config.automation_options import OWN_SECTIONS, AutomationOptions
from traiNNer.config.choice import Choice
from traiNNer.config.layout import in_tree
from traiNNer.config.tree import DEFAULT, FILE, Node, key_of
from traiNNer.config.yaml.scalars import plain_scalar
from traiNNer.registry import StrictOptions

OTHERS_BOOLEAN = {"yes", "no", "on", "off", "y", "n"}
# A short escape in double quotes is refused at reading, as it is mostly a Windows path.
SHORT_ESCAPE = re.compile(r"((?<!\\)(?:\\\\)*)\\([bfnrt])")
CODES = {"b": r"\u0008", "f": r"\u000c", "n": r"\u000a", "r": r"\u000d", "t": r"\u0009"}
PLAIN_TEXT = re.compile(r"[A-Za-z_./~][\w./~-]*( [\w./~-]+)*")


def file_form(options: StrictOptions) -> dict[str, Any]:
    """Return options as they would stand in a file: a component's options beside its `type`, automations by name."""
    tree: dict[str, Any] = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(options, Choice) and name == "options":
            tree |= options.plain()
        elif isinstance(value, AutomationOptions):
            tree |= _automations(name, value)
        else:
            tree[name] = _plain(value)
    return tree


def sources_of(tree: Any, root: Node) -> dict[str, str]:
    """Return where each value came from by its key: `file line N`, `--set` or `default`."""
    return {key_of(path): _source(root, path) for path, _ in leaves(tree)}


@dataclass(frozen=True)
class Comments:
    """What is written beside values, by key; an empty comment is left out."""

    by_key: Mapping[str, str]
    otherwise: str
    column: int = 0

    def beside(self, text: str, path: tuple[str | int, ...]) -> str:
        """Return a line with its comment."""
        comment = self.by_key.get(key_of(path), self.otherwise)
        return f"{text:<{self.column}}  # {comment}" if comment else text


def write(tree: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    """Return the tree as YAML with the source of every value as a comment; reading it gives the same options."""
    return "\n".join(_section(tree, (), Comments(sources, DEFAULT), 0)) + "\n"


def write_explained(tree: Mapping[str, Any], reasons: Mapping[str, str], column: int = 44) -> str:
    """Return the tree as YAML with reasons in a column beside the values, and an empty line before each section."""
    lines: list[str] = []
    for line in _section(tree, (), Comments(reasons, "", column), 0):
        starts_section = line.endswith(":") and not line.startswith(" ")
        lines += ["", line] if starts_section and lines else [line]
    return "\n".join(lines) + "\n"


def _automations(section: str, options: AutomationOptions) -> dict[str, Any]:
    """Return the section of the automations, and beside it those that have one of their own."""
    forms = {name: {"enabled": choice.enabled, **choice.plain()} for name, choice in options.automations.items()}
    own = {key: forms.pop(name) for key, name in OWN_SECTIONS.items() if name in forms}
    return {section: options.model_dump(exclude={"automations"}) | forms, **own}


def _plain(value: Any) -> Any:
    if isinstance(value, StrictOptions):
        return file_form(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _is_leaf(value: Any) -> bool:
    if isinstance(value, dict):
        return not value
    return not (isinstance(value, list) and value and all(isinstance(item, dict) and item for item in value))


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the path and value of every option that is not a section."""
    if _is_leaf(value):
        yield path, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from leaves(item, (*path, key))


def _source(root: Node, path: tuple[str | int, ...]) -> str:
    node = root.at(in_tree(path))
    if node is None:
        return DEFAULT
    return f"{FILE} {node.place()}" if node.source == FILE else node.source


def _section(tree: Mapping[str, Any], path: tuple[str | int, ...], comments: Comments, depth: int) -> list[str]:
    lines: list[str] = []
    for key, value in tree.items():
        here = (*path, key)
        lines += _entry(f"{'  ' * depth}{scalar(key)}:", value, here, comments, depth)
    return lines


def _entry(head: str, value: Any, path: tuple[str | int, ...], comments: Comments, depth: int) -> list[str]:
    if _is_leaf(value):
        return [comments.beside(f"{head} {_flow(value)}", path)]
    if isinstance(value, dict):
        return [head, *_section(value, path, comments, depth + 1)]
    lines = [head]
    for index, item in enumerate(value):
        first, *others = _section(item, (*path, index), comments, depth + 2)
        lines += [f"{'  ' * (depth + 1)}- {first.lstrip()}", *others]
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_flow(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{scalar(key)}: {_flow(item)}' for key, item in value.items())}}}"
    return scalar(value)


def scalar(value: Any) -> str:
    """Return a value as it is written in YAML."""
    if isinstance(value, str) and PLAIN_TEXT.fullmatch(value) and value.lower() not in OTHERS_BOOLEAN:
        return value if isinstance(plain_scalar(value), str) else json.dumps(value)
    if isinstance(value, float):
        return re.sub(r"^(-?[0-9]+)e", r"\1.0e", repr(value))  # the form that YAML 1.1 takes for a number too
    if isinstance(value, str) and not value.isprintable():
        return SHORT_ESCAPE.sub(lambda found: found.group(1) + CODES[found.group(2)], json.dumps(value))
    return json.dumps(value, ensure_ascii=False)
