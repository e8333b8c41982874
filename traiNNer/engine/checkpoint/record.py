"""What a checkpoint says of itself, as a schema: the record of its files, and the parts of its state that are compared.

Whatever else a file holds is not a checkpoint of this program, even if its checksum is right.
"""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, InstanceOf, TypeAdapter, model_validator
from torch import Tensor

from traiNNer.utils import bounded

DEEPEST = 30
LONGEST_RECORD = 1 << 20  # bytes; a record has about 1,000
Count = Annotated[int, Field(ge=0)]
Names = dict[str, Any]


def _plain(value: Any, depth: int = 0) -> Any:
    """Refuse what cannot be compared: tensors, and nesting that no option file has."""
    if isinstance(value, (dict, list, tuple)):
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
        for item in value.values() if isinstance(value, dict) else value:
            _plain(item, depth + 1)
    elif value is not None and not isinstance(value, (str, int, float)):
        raise ValueError(f"a {type(value).__name__} where options stand")
    return value


Plain = Annotated[Any, AfterValidator(_plain)]
Options = Annotated[dict[str, Any], AfterValidator(_plain)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class FileIdentity(_Strict):
    """Size in bytes and SHA-256 of one file."""

    size: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(_Strict):
    """The files of a checkpoint by name."""

    iteration: Count
    files: Annotated[dict[str, FileIdentity], Field(min_length=2)]


class _Validation(_Strict):
    metrics: Options | None = None


class _Scores(_Strict):
    val: _Validation | None = None
    datasets: dict[str, Options | None] | None = None


class _Stream(_Strict):
    """What `run.identity.stream_identity` returns."""

    training: Options
    libraries: Options
    plugins: Plain
    order: Plain
    needs_length: bool
    length: Options
    files: dict[str, Options | None]
    scores: _Scores
    automations: Plain


class _Progress(_Strict):
    iteration: Count
    validated: Count


def _number(value: Tensor) -> Tensor:
    if value.ndim or not value.is_floating_point():
        raise ValueError("no single number")
    return value


_Number = Annotated[InstanceOf[Tensor], AfterValidator(_number)]


class _Window(_Strict):
    count: Count
    sums: dict[str, _Number]
    counts: dict[str, _Number]

    @model_validator(mode="after")
    def _same_names(self) -> Self:
        if self.sums.keys() != self.counts.keys():
            raise ValueError("sums and counts of different losses")
        return self


class _Watch(_Strict):
    streak: Count


class _Rng(_Strict):
    ranks: Annotated[list[Names], Field(min_length=1)]


_Score = Annotated[list[float], Field(min_length=2, max_length=2)]  # value, iteration


class _State(_Strict):
    """A training state of the present format. What only its owner understands is checked by its owner."""

    identity: Options
    environment: Options
    stream: _Stream
    progress: _Progress
    learners: Names
    model: dict[Any, Any]
    window: _Window
    watch: _Watch
    best: dict[str, _Score]
    rng: _Rng


_RECORD, _STATE = TypeAdapter(Record), TypeAdapter(_State)


def read_record(path: Path, iteration: int) -> Record:
    """Read the record of a checkpoint.

    Raises:
        OSError: it cannot be read.
        Misfit: it is not a record, not that of this iteration, or names files elsewhere.
    """
    record = bounded.read(path, _RECORD, LONGEST_RECORD)
    if record.iteration != iteration:
        raise bounded.Misfit(f"iteration: {record.iteration:,} in the record of {iteration:,}")
    if f"{iteration}.state" not in record.files:
        raise bounded.Misfit(f"files: {iteration}.state is missing")
    if not any(name.startswith(f"net_g_{iteration}.") for name in record.files):
        raise bounded.Misfit(f"files: net_g_{iteration} is missing")
    for name in record.files:
        if Path(name).name != name or "\0" in name or "\\" in name:
            raise bounded.Misfit("files: a name that is not in this folder")
    return record


def check_state(state: object, iteration: int) -> None:
    """Raise `Misfit` for a training state that lacks a part, has one of another kind, or is not of this iteration."""
    progress = bounded.check(_STATE, state).progress
    if progress.iteration != iteration:
        raise bounded.Misfit(f"progress.iteration: {progress.iteration:,} in the state of {iteration:,}")
    if progress.validated > iteration:
        raise bounded.Misfit(f"progress.validated: {progress.validated:,} in the state of {iteration:,}")
