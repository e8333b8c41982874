"""What a sweep remembers between two calls: which runs failed, and which trials were made."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from traiNNer.engine.run_folder import cause
from traiNNer.errors import CannotWrite, ConfigError
from traiNNer.utils.bounded import Misfit, parse
from traiNNer.utils.files import read_text_bounded, write_bytes_atomic

NAME = "sweep.json"
MOST_BYTES = 10_000_000


class Trial(BaseModel):
    """The values of a trial by key, and its score; None while it is not finished."""

    values: dict[str, float | int | str]
    score: float | None = None
    failed: bool = False


class Content(BaseModel):
    """What the file holds: runs that failed, with the reason, and the trials in their order."""

    failed: dict[str, str] = {}
    trials: list[Trial] = []


_CONTENT = TypeAdapter(Content)


@dataclass
class SweepRecord:
    """The record in a sweep's folder."""

    folder: Path
    content: Content = field(default_factory=Content)

    @classmethod
    def read(cls, folder: Path) -> "SweepRecord":
        """Return what is there, an empty record where there is none. Raises `ConfigError` for a damaged one."""
        path = folder / NAME
        if not path.exists():
            return cls(folder)
        try:
            return cls(folder, parse(_CONTENT, read_text_bounded(path, MOST_BYTES)))
        except (OSError, ValueError, Misfit) as error:
            raise ConfigError(
                f"{path} cannot be read ({error}): delete it; finished runs are found without it"
            ) from None

    def write(self) -> None:
        """Write what is known now. Raises `CannotWrite`."""
        try:
            write_bytes_atomic(self.folder / NAME, self.content.model_dump_json(indent=1).encode())
        except OSError as error:
            raise CannotWrite(f"Cannot write to {self.folder} ({cause(error)}).") from None
