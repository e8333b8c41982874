"""Which run a folder of weights or states belongs to: nothing of another run is continued, renamed or replaced.

A run marks its root and these folders with a small file, `.run`. The mark holds a random number, so a run that is moved
stays the owner of its files, and two runs of one name do not own each other's.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, InstanceOf, TypeAdapter

from traiNNer.engine.run_folder import RunFolder
from traiNNer.errors import ConfigError
from traiNNer.utils.bounded import read
from traiNNer.utils.files import write_bytes_atomic

MARK = ".run"
LONGEST = 10_000  # bytes; a mark has about 150


def _text(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError("empty, or no name of a file")
    return value


Text = Annotated[InstanceOf[str], AfterValidator(_text)]  # a plain `str` would have to be Unicode


@dataclass(frozen=True)
class Owner:
    """A run: its random number, its name, and where its root was when it marked a folder."""

    run: Text
    name: Text
    root: Text


_OWNER = TypeAdapter(Owner)


def refuse_foreign(folder: RunFolder) -> None:
    """Raise `ConfigError` for a folder of weights or states that belongs to another run; nothing is written."""
    own, here = read_owner(folder.root), str(folder.root.resolve())
    problems = []
    for key, place in _places(folder).items():
        mark = read_owner(place)
        if mark is None:
            is_free = _is_inside(place, folder.root) or is_empty(place) or (own is None and folder.metrics.exists())
        else:
            is_own = mark.root == here if own is None else _is_of(mark, own, _is_inside(place, folder.root))
            is_free = is_own or (is_empty(place) and not _is_alive(mark))
        if not is_free:
            owner = f"belongs to the run {mark.name} ({mark.root})" if mark else "has files of an unknown run"
            problems.append(f"{key}: {place} {owner}")
    if problems:
        raise ConfigError(
            f"{'; '.join(problems)}. Runs cannot share folders: give each run its own, or leave the option out. "
            "To continue from a state of the other run, use path.resume_state and path.resume_models."
        )


def claim(folder: RunFolder) -> None:
    """Mark the root and the folders of a run as its own. Raises `ConfigError` as `refuse_foreign`, and `OSError`."""
    refuse_foreign(folder)
    here, own = str(folder.root.resolve()), read_owner(folder.root)
    owner = Owner(own.run if own else secrets.token_hex(8), folder.root.name, here)
    for place in (folder.root, *_places(folder).values()):
        if read_owner(place) != owner:
            write_bytes_atomic(place / MARK, json.dumps(asdict(owner)).encode())


def is_empty(place: Path) -> bool:
    """Return whether a folder has no files besides the mark, or does not exist."""
    return not place.is_dir() or all(path.name == MARK for path in place.iterdir())


def read_owner(place: Path) -> Owner | None:
    """Return the owner that a folder is marked with; None without a mark that can be read."""
    try:
        return read(place / MARK, _OWNER, LONGEST)
    except (OSError, ValueError):
        return None


def _places(folder: RunFolder) -> dict[str, Path]:
    return {"path.models": folder.models, "path.training_states": folder.training_states}


def _is_of(mark: Owner, own: Owner, is_inside: bool) -> bool:
    """Whether a mark is that of a run; a copy of a run under another name owns only what lies inside its root."""
    return mark.run == own.run and (is_inside or mark.name == own.name)


def _is_alive(owner: Owner) -> bool:
    known = read_owner(Path(owner.root))
    return known is not None and known.run == owner.run


def _is_inside(place: Path, root: Path) -> bool:
    return root.resolve() in place.resolve().parents
