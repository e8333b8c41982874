"""An option file in the making, from one of another framework."""

from dataclasses import dataclass, field

from traiNNer.config.effective import write_explained
from traiNNer.config.overrides import parse_key
from traiNNer.config.tree import Path as KeyPath
from traiNNer.config.tree import key_of
from traiNNer.errors import Problem
from traiNNer.recipes.trees import Tree, at

LOSSES_AT = ("train", "losses")


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

    def origin(self, path: KeyPath) -> str:
        """Return the key of a place; below a loss that had a section, the key that it had there."""
        if path[:2] != LOSSES_AT or len(path) < 3 or not self.losses[int(path[2])]:
            return key_of(path)
        return ".".join([self.losses[int(path[2])], *map(str, path[3:])])

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


def _moved_up(path: KeyPath, removed: KeyPath) -> KeyPath:
    if path[:2] != LOSSES_AT or int(path[2]) <= int(removed[2]):
        return path
    return (*LOSSES_AT, int(path[2]) - 1, *path[3:])
