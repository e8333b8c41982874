"""Training files of neosr (TOML), BasicSR and traiNNer-redux (YAML) as an option file, with a report of every change.

What a key means is decided by the loader of option files, which knows the words of the community; here is only what no
option file may contain: neosr's own names, and losses that are not a list.
"""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traiNNer.config.effective import write_explained
from traiNNer.config.files import read_text
from traiNNer.config.load import Loaded, check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.overrides import OverrideError, parse_key
from traiNNer.config.tree import Path as KeyPath
from traiNNer.config.tree import key_of, node_of
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError, Problem
from traiNNer.recipes.trees import Tree, at, paths, sections, without
from traiNNer.recipes.words import MOVED, STAND_INS, TYPES

TOML = ".toml"
LOSSES_AT = ("train", "losses")
SECTIONS_OF_TYPE = ("losses", "metrics", "network_d", "scheduler", "scheduler_d", "optim_d")
"""Where an unknown type means that the whole entry is left out."""
NEVER_LEFT_OUT = ("name", "scale", "network_g", "lr", "total_iter", "dataroot_gt", "dataroot_lq")
"""Keys without which it would be another run: a wrong one stays, to be corrected by hand."""


@dataclass
class Converted:
    """An option file in the making: its tree, and what was done to it."""

    tree: Tree
    changes: list[str] = field(default_factory=list)
    """One line for each key that was renamed, translated or replaced."""
    reasons: dict[str, str] = field(default_factory=dict)
    """What a value was before, by its new key."""
    losses: list[str] = field(default_factory=list)
    """Where each item of `train.losses` stood, empty for one that was in the list."""
    left_out: list[str] = field(default_factory=list)
    """One line for each key that is not used, with the reason."""
    problems: tuple[Problem, ...] = ()
    """What has to be corrected by hand."""
    warnings: tuple[str, ...] = ()
    """What `--check` will say of the file."""
    notices: tuple[str, ...] = ()
    """What becomes of keys that are in the file as they were, and are used in another way than written."""

    def note(self, old: str, new: str, key: str, before: str) -> None:
        """Note that a key was renamed or its value translated, and beside the new key what it was before."""
        self.changes.append(f"{old} -> {new}")
        self.reasons[key] = f"was {before}"

    def remove(self, path: KeyPath) -> None:
        """Take out what stands at a place. The losses behind a removed one move up, with what was noted of them."""
        del at(self.tree, path[:-1])[path[-1]]
        if path[:2] == LOSSES_AT and len(path) == 3:
            del self.losses[int(path[2])]
            self.reasons = {key_of(_moved_up(parse_key(key), path)): why for key, why in self.reasons.items()}

    def text(self, source: str) -> str:
        """Return the option file, which says itself what was left out."""
        lines = [f"# Converted from {source} by `trainner convert`."]
        if self.left_out:
            lines += ["# Left out:", *(f"#   {' '.join(line.split())}" for line in self.left_out)]
        losses = {f"train.losses[{place}].type": f"was {key}" for place, key in enumerate(self.losses) if key}
        return "\n".join(lines) + "\n\n" + write_explained(self.tree, self.reasons | losses)


def convert(path: Path) -> Converted:
    """Read a training file of another framework. Raises `ConfigError` where it cannot be read at all."""
    made = Converted(read_tree(path))
    _rename(made)
    _gather_losses(made)
    _translate_types(made)
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


def _moved_up(path: KeyPath, removed: KeyPath) -> KeyPath:
    if path[:2] != LOSSES_AT or int(path[2]) <= int(removed[2]):
        return path
    return (*LOSSES_AT, int(path[2]) - 1, *path[3:])


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


def _rename(made: Converted) -> None:
    for place, old, new in MOVED:
        for where, section in list(sections(made.tree, place)):
            if old not in section:
                continue
            target, _, name = new.rpartition(".")
            home = made.tree.setdefault(target, {}) if target else section
            key = f"{target or where}.{name}".removeprefix(".")
            if name in home:
                made.left_out.append(f"{where}.{old}".removeprefix(".") + f": {key} is given as well")
                del section[old]
                continue
            home[name] = section.pop(old)
            before = f"{where}.{old}".removeprefix(".")
            made.note(before, key, key, before)


def _gather_losses(made: Converted) -> None:
    """Make one list of sections such as `pixel_opt`."""
    train = made.tree.get("train")
    if not isinstance(train, dict):
        return
    losses = train.get("losses", [])
    made.losses = [""] * len(losses)
    for key in [key for key in train if key.endswith("_opt") and isinstance(train[key], dict)]:
        made.changes.append(f"train.{key} -> train.losses[{len(losses)}]")
        made.losses.append(f"train.{key}")
        losses.append(train.pop(key))
        train["losses"] = losses


def _translate_types(made: Converted) -> None:
    for place, names in TYPES.items():
        for where, section in sections(made.tree, place):
            old = str(section.get("type", ""))
            new = names.get(old.lower())
            if new is not None:
                section["type"] = new
                made.note(f"{where}.type = {old}", new, f"{where}.type", old)
    for place in ("train.optim_g", "train.optim_d"):
        for where, section in sections(made.tree, place):
            _stand_in(made, where, section)


def _stand_in(made: Converted, where: str, section: Tree) -> None:
    """Replace an optimizer that is not here by its like, which has other options and wants another learning rate."""
    old = str(section.get("type", ""))
    if old.lower() not in STAND_INS:
        return
    plain, schedule_free = STAND_INS[old.lower()]
    section["type"] = schedule_free if section.pop("schedule_free", True) else plain
    new = f"{section['type']}, which is another algorithm: tune its lr"
    made.note(f"{where}.type = {old}", new, f"{where}.type", f"{old}, another algorithm")


def _settle(made: Converted, title: str) -> None:
    """Leave out what the loader refuses, one key after the other, as long as that leaves fewer problems."""
    problems = _check(made.tree, title)
    while problems:
        for problem in problems:
            path = _removable(made.tree, problem)
            trial = without(made.tree, path) if path else None
            found = _check(trial, title) if trial is not None else problems
            if path and trial is not None and len(found) < len(problems):
                made.left_out.append(_line(made.tree, path, problem))
                made.remove(path)
                problems = found
                break
        else:
            made.problems = tuple(problems)
            return


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
        made.left_out.append(f"{key}: {reasons[key]}")
    # From the last one on, so that numbers in a list stay what they are until their turn comes.
    for path in sorted(map(parse_key, loaded.passed_over), key=_in_order, reverse=True):
        made.remove(path)


def _in_order(path: KeyPath) -> list[str]:
    return [f"{part:09}" if isinstance(part, int) else part for part in path]


def _line(tree: Tree, path: KeyPath, problem: Problem) -> str:
    """Return what is left out, with the type of a whole section, and why."""
    value = at(tree, path)
    shown = str(value.get("type", "")) if isinstance(value, dict) else problem.value
    return f"{key_of(path)}{f' = {shown}' if shown else ''}: {problem.message}"


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
