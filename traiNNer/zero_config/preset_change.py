"""From one preset to the other in an option file that exists: line by line, so that everything else stays as it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traiNNer.config.effective import scalar
from traiNNer.config.load import check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.overrides import parse_key
from traiNNer.config.tree import Node
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError
from traiNNer.zero_config.presets import Preset, preset_values

MEASURED = "# best of "
"""How the reason of a value begins that was found by trials; it is kept."""


@dataclass(frozen=True)
class Upgrade:
    """A new text, and what became of every value that differs between the presets.

    `changed` maps a key to its value before (None: it was not there) and after, `kept` one that was not the preset's to
    its value; the keys of `left_out` have no section in the file.
    """

    before: Preset
    text: str
    changed: Mapping[str, tuple[Any, Any]]
    kept: Mapping[str, Any]
    left_out: tuple[str, ...]


def upgrade(text: str, preset: Preset, path: Path) -> Upgrade:
    """Return an option file's text with the values of another preset; what a user had changed stays.

    Args:
        text: the content of a file that `trainner init` made, maybe edited since.
        preset: the one to go to.
        path: of the file, for messages and for its plugins.

    Raises:
        ConfigError: it is not such a file, is one of this preset already, or has a value where it cannot be replaced.
    """
    root = load_yaml(text, str(path)).root
    before: Preset = "convenience" if preset == "fidelity" else "fidelity"
    old, new = _differing(before, preset)
    found = {key: root.at(parse_key(key)) for key in new}
    _require_preset(found, old, new, before, preset, path)
    lines = text.splitlines()
    changed: dict[str, tuple[Any, Any]] = {}
    kept: dict[str, Any] = {}
    missing = []
    for key, value in new.items():
        node = found[key]
        if node is None:
            missing.append(key)
        elif node.plain() == old[key] and MEASURED not in lines[(node.line or 1) - 1]:
            _replace(lines, node, value, path)
            changed[key] = (node.plain(), value)
        elif node.plain() != value:
            kept[key] = node.plain()
    _rename(root, lines, before, preset, changed, path)
    # From below, so that the places of the lines above stay.
    added = sorted(((key, _place_for(root, key)) for key in missing), key=lambda item: -(item[1] or 0))
    for key, line in added:
        if line is not None:
            indent = re.match(r"\s*", lines[line - 1])
            lines.insert(line - 1, f"{indent.group() if indent else ''}{key.rsplit('.', 1)[1]}: {scalar(new[key])}")
            changed[key] = (None, new[key])
    lines = [line for line in lines if not re.match(r"# .*\bit/s, [\d,]+ iterations in ", line)]  # no longer true
    result = "\n".join(line.replace(f"--preset {before}", f"--preset {preset}") for line in lines) + "\n"
    check_tree(load_yaml(result, str(path)).root, TrainOptions, str(path), path.parent)
    return Upgrade(before, result, changed, kept, tuple(key for key, line in added if line is None))


def _differing(before: Preset, after: Preset) -> tuple[dict[str, Any], dict[str, Any]]:
    old = {key: value for key, (value, _) in preset_values(before).items()}
    new = {key: value for key, (value, _) in preset_values(after).items() if value != old[key]}
    return old, new


def _require_preset(
    found: Mapping[str, Node | None],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    before: Preset,
    after: Preset,
    path: Path,
) -> None:
    values = {key: node.plain() for key, node in found.items() if node is not None}
    is_old, is_new = (sum(value == side[key] for key, value in values.items()) for side in (old, new))
    if is_new > is_old:
        raise ConfigError(f"{path} is a file of the preset {after} already.")
    if is_old < 3:
        raise ConfigError(f"{path} is not a file that `trainner init` made with the preset {before}.")


def _replace(lines: list[str], node: Node, value: Any, path: Path) -> None:
    key = node.key.rsplit(".", 1)[-1]
    match = re.match(rf"(\s*{re.escape(key)}:\s*)([^\s#{{\[]+)(\s*)(#.*)?$", lines[(node.line or 1) - 1])
    if match is None:
        raise ConfigError(f"{path} line {node.line}: {node.key} cannot be replaced there; write it on a separate line.")
    head, before, space, comment = match.groups()
    after = scalar(value)
    space = " " * max(2, len(space) + len(before) - len(after)) if comment else ""
    lines[(node.line or 1) - 1] = f"{head}{after}{space}{comment or ''}"


def _rename(
    root: Node, lines: list[str], before: Preset, after: Preset, changed: dict[str, tuple[Any, Any]], path: Path
) -> None:
    """Give the run a new name, so that its folder is not that of the run before."""
    node = root.child("name")
    if node is None or not isinstance(node.value, str):
        return
    name = node.value.removesuffix(f"_{before}")
    name = name if after == "convenience" else f"{name}_{after}"
    if name != node.value:
        _replace(lines, node, name, path)
        changed["name"] = (node.value, name)


def _place_for(root: Node, key: str) -> int | None:
    """Return the line of the first value beside which a key belongs; None when its section is not in the file."""
    section = root.at(parse_key(key)[:-1])
    places = [node.line for node in section.entries().values() if node.line] if section is not None else []
    return min(places, default=None)
