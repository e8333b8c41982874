"""`--set train.total_iter=200`: values from the command line, read as YAML and checked like the file."""

import re

from traiNNer.config.layout import AUTOMATIONS_AT, canonical
from traiNNer.config.tree import COMMAND_LINE, Node, Path, Report, key_of
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError, Problem
from traiNNer.registry import StrictOptions, fold

STEP = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")


class OverrideError(ValueError):
    """An override that has no place in the tree; the message says why."""


def apply_overrides(root: Node, overrides: tuple[str, ...], model: type[StrictOptions], report: Report) -> None:
    """Put each `key=value` into the tree, in order; what cannot be placed is reported."""
    for text in overrides:
        key, equals, value = text.partition("=")
        try:
            if not equals:
                raise OverrideError("write key=value, for example train.total_iter=200")
            path = parse_key(key.strip())
            node = _value(key.strip(), value)
            _put(root, _as_written(canonical(path, model), root), node)
        except OverrideError as error:
            report.problems.append(Problem(f"{COMMAND_LINE} {text}", str(error)))


def parse_key(key: str) -> Path:
    """Return the path of `train.losses[1].type`. Raises `OverrideError`."""
    path: list[str | int] = []
    for step in key.split("."):
        match = STEP.fullmatch(step)
        if match is None:
            raise OverrideError(f"'{key}' is not a key such as train.losses[0].loss_weight")
        path.append(match.group(1))
        path += [int(index) for index in re.findall(r"\d+", match.group(2))]
    return tuple(path)


def _as_written(path: Path, root: Node) -> Path:
    """Return the path with an automation's section spelled as it already is in the file."""
    section = root.at(AUTOMATIONS_AT)
    if path[:2] != AUTOMATIONS_AT or section is None or len(path) == 2:
        return path
    written = next((key for key in section.entries() if fold(key) == fold(str(path[2]))), path[2])
    return (*path[:2], written, *path[3:])


def _value(key: str, text: str) -> Node:
    try:
        node = load_yaml(text, COMMAND_LINE).root.renamed(key)
    except ConfigError as error:
        messages = [problem.message for problem in error.problems] or [str(error)]
        raise OverrideError("; ".join(messages)) from None
    return _from_command_line(node)


def _from_command_line(node: Node) -> Node:
    node.source, node.line = COMMAND_LINE, None
    children = node.value.values() if isinstance(node.value, dict) else node.value
    for child in children if isinstance(node.value, dict | list) else ():
        _from_command_line(child)
    return node


def _put(root: Node, path: Path, new: Node) -> None:
    node = root
    for position, part in enumerate(path[:-1]):
        if node.value is None:
            node.value = {}
        _refuse_strange(node, path[: position + 1])
        if isinstance(part, str):
            node = node.value.setdefault(part, Node({}, None, key_of(path[: position + 1]), COMMAND_LINE))
        else:
            node = node.value[part]
    if node.value is None:
        node.value = {}
    _refuse_strange(node, path)
    node.value[path[-1]] = new


def _refuse_strange(node: Node, path: Path) -> None:
    """Raise unless the last step of `path` fits the node it starts from."""
    part, above = path[-1], key_of(path[:-1])
    if isinstance(part, str) and not isinstance(node.value, dict):
        kind = "a list: write an index such as [0]" if isinstance(node.value, list) else "a value, not a section"
        raise OverrideError(f"{above} is {kind}")
    if isinstance(part, int) and not isinstance(node.value, list):
        raise OverrideError(f"{above} is not a list")
    if isinstance(part, int) and part >= len(node.value):
        raise OverrideError(f"{above} has {len(node.value)} items, counted from 0")
