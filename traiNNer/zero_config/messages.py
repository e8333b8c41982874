"""What the two processes of zero-config send each other: a job one way, lines of JSON the other way."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from traiNNer.zero_config.measured import Measured, Record

T = TypeVar("T")


class MessageError(ValueError):
    """What was received is not what was agreed on; the text says where, in one line."""


@dataclass(frozen=True)
class Job(Record):
    """What is to be measured."""

    tree: dict[str, Any]
    """The run's options, as in an option file."""
    validated: tuple[int, int]
    """Height and width of the largest validation image in LQ pixels."""
    workers: tuple[int, ...]
    """Numbers of data workers to try."""
    decoded_mb: float
    """Memory that all images take once they are decoded."""
    given: tuple[str, ...] = ()
    """Settings that the user has chosen: they are not tried."""
    rates: tuple[tuple[float, ...], ...] = ()
    """Learning rates to try, and shorter lists where time is short; empty: none is looked for."""
    rate_seconds: float = 0.0
    """What their trials may take, and `rate_seconds_at_most` with slow steps."""
    rate_seconds_at_most: float = 0.0
    run_s: float | None = None
    """What the run may take; None: its iterations are fixed."""
    crops: tuple[int, ...] = ()
    """Sides to choose from in LQ pixels, the usual one first; empty: the side is fixed."""


@dataclass(frozen=True)
class Progress(Record):
    """What is being done now."""

    text: str
    kind: Literal["progress"] = "progress"


@dataclass(frozen=True)
class Stage(Record):
    """Where the process is: ready to compute, at what may be cut short, at its end, or stuck without memory."""

    name: Literal["ready", "expendable", "done", "nothing fits"]
    kind: Literal["stage"] = "stage"


Message = Progress | Stage | Measured
_JOB = TypeAdapter(Job)
_MEASURED = TypeAdapter(Measured)
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def encode(record: Record) -> str:
    """Return a record as one line of JSON, numbers that are none included."""
    return json.dumps(asdict(record)) + "\n"


def read_job(text: str) -> Job:
    """Return the job that a text holds. Raises `MessageError`."""
    return _read(_JOB, text)


def read_message(line: str) -> Message:
    """Return the message that a line holds. Raises `MessageError`."""
    return _read(_MESSAGE, line)


def read_measured(text: str) -> Measured:
    """Return the results that a text holds. Raises `MessageError`."""
    return _read(_MEASURED, text)


def _read(adapter: TypeAdapter[T], text: str) -> T:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MessageError(f"{where + ': ' if where else ''}{first['msg']} in {text.strip()[:100]!r}") from None
