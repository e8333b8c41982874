"""Training files of neosr (TOML), BasicSR and traiNNer-redux (YAML) as an option file, with a report of every change.

What a key means is decided by the loader of option files, which knows the words of the community; here is only what no
option file may contain: neosr's own names, and losses that are not a list.
"""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from traiNNer.config.files import read_text
from traiNNer.config.load import Loaded, check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.overrides import OverrideError, parse_key
from traiNNer.config.tree import Path as KeyPath
from traiNNer.config.tree import node_of
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError, Problem
from traiNNer.recipes.converted import Converted
from traiNNer.recipes.translate import translate
from traiNNer.recipes.trees import Tree, at, paths, without

TOML = ".toml"
SECTIONS_OF_TYPE = ("losses", "metrics", "network_d", "scheduler", "scheduler_d", "optim_d")
"""Where an unknown type means that the whole entry is left out."""
NEVER_LEFT_OUT = ("name", "scale", "network_g", "lr", "total_iter", "dataroot_gt", "dataroot_lq")
"""Keys without which it would be another run: a wrong one stays, to be corrected by hand."""


def convert(path: Path) -> Converted:
    """Read a training file of another framework. Raises `ConfigError` where it cannot be read at all."""
    made = Converted(read_tree(path))
    translate(made)
    _settle(made, str(path))
    if not made.problems:
        loaded = _loaded(made.tree, str(path))
        if path.suffix.lower() != TOML:  # what neosr takes for an option that is left out is not known here
            _write_out(made, loaded.theirs)
        _leave_out(made, loaded)
        loaded = _loaded(made.tree, str(path))
        made.notices = tuple(line.replace(" (file)", "") for line in (*loaded.spellings, *loaded.changes))
        made.warnings = loaded.warnings
    return made


def read_tree(path: Path) -> Tree:
    """Return a TOML or YAML file as plain values. Raises `ConfigError`."""
    text = read_text(path)
    if path.suffix.lower() == TOML:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: {error}") from None
    tree = load_yaml(text, str(path)).root.plain()
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no keys and values.")
    return tree


def _settle(made: Converted, title: str) -> None:
    """Leave out what the loader refuses, one key after the other, as long as that leaves fewer problems."""
    problems = _check(made.tree, title)
    rounded = [problem for problem in problems if _make_whole(made, problem)]
    if rounded:
        problems = _check(made.tree, title)
    while problems:
        for problem in problems:
            path = _removable(made.tree, problem)
            trial = without(made.tree, path) if path else None
            found = _check(trial, title) if trial is not None else problems
            if path and trial is not None and len(found) < len(problems):
                made.left_out.append(_line(made, path, problem))
                made.remove(path)
                problems = found
                break
        else:
            made.problems = tuple(problems)
            return


def _make_whole(made: Converted, problem: Problem) -> bool:
    """Write a number such as 5e3 as 5000 where a whole one is wanted; return whether that was possible."""
    try:
        path = parse_key(problem.key)
        section = at(made.tree, path[:-1])
        value = section[path[-1]]
    except (OverrideError, KeyError, IndexError, TypeError):
        return False
    if "whole number" not in problem.message or not isinstance(value, float) or not value.is_integer():
        return False
    section[path[-1]] = int(value)
    made.note(f"{problem.key} = {value}", f"{int(value)}", problem.key, f"{value}")
    return True


def _write_out(made: Converted, theirs: Mapping[str, Any]) -> None:
    """Give options that the file leaves out the values that they have where it comes from."""
    for key, value in theirs.items():
        path = parse_key(key)
        at(made.tree, path[:-1])[path[-1]] = deepcopy(value)
        made.changes.append(f"{key}: written out, since leaving it out means another value here")
        made.reasons[key] = "not written before, where that means this"


def _leave_out(made: Converted, loaded: Loaded[TrainOptions]) -> None:
    """Take out what has no effect here, with the reasons of the loader."""
    reasons = dict(line.split(" (file): ", 1) for line in loaded.changes)
    for key in loaded.passed_over:
        made.left_out.append(f"{made.origin(parse_key(key))}: {reasons[key]}")
    # From the last one on, so that numbers in a list stay what they are until their turn comes.
    for path in sorted(map(parse_key, loaded.passed_over), key=_in_order, reverse=True):
        made.remove(path)


def _in_order(path: KeyPath) -> list[str]:
    return [f"{part:09}" if isinstance(part, int) else part for part in path]


def _line(made: Converted, path: KeyPath, problem: Problem) -> str:
    """Return what is left out, where it stood, with the type of a whole section, and why."""
    value = at(made.tree, path)
    shown = str(value.get("type", "")) if isinstance(value, dict) else problem.value
    return f"{made.origin(path)}{f' = {shown}' if shown else ''}: {problem.message.partition('   known: ')[0]}"


def _check(tree: Tree, title: str) -> list[Problem]:
    try:
        _loaded(tree, title)
    except ConfigError as error:
        if not error.problems:
            raise
        return list(error.problems)
    return []


def _loaded(tree: Tree, title: str) -> Loaded[TrainOptions]:
    return check_tree(node_of(deepcopy(tree)), TrainOptions, title, Path(title).parent)


def _removable(tree: Tree, problem: Problem) -> KeyPath | None:
    """Return what to leave out so that a problem is gone; None for what has to be corrected by hand."""
    try:
        path = parse_key(problem.key)
    except OverrideError:
        return None
    if path[-1] == "type" and set(path) & set(SECTIONS_OF_TYPE):
        path = path[:-1]
    if set(path) & set(NEVER_LEFT_OUT) or path not in set(paths(tree)):
        return None
    return path
