"""JSON that others may have written, parsed against a schema: bounded in size and depth, refused in one line."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from traiNNer.utils.files import open_regular

T = TypeVar("T")
LONGEST_LINE = 1 << 20
DEEPEST = 100


class Misfit(ValueError):
    """A text that does not fit its schema; the message is one line that says where and why."""


def from_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, which may hold names that are no Unicode, as file names may be.

    Raises:
        Misfit: it is damaged, or nested deeper than `DEEPEST` levels.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise Misfit(f"nested deeper than {DEEPEST} levels") from None
    except ValueError as error:
        raise Misfit(f"not JSON ({error})") from None
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        if not level:
            return value
        level = [item for outer in level for item in _items(outer) if isinstance(item, (dict, list))]
    raise Misfit(f"nested deeper than {DEEPEST} levels")


def _items(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer


def parse(schema: TypeAdapter[T], text: str | bytes) -> T:
    """Return the value that a JSON text holds. Raises `Misfit`; nesting that is too deep is one too."""
    return check(schema, from_json(text))


def check(schema: TypeAdapter[T], value: object) -> T:
    """Return a value as its schema has it. Raises `Misfit`."""
    try:
        return schema.validate_python(value)
    except ValidationError as error:
        raise Misfit(in_words(error)) from None
    except RecursionError:
        raise Misfit("nested too deeply") from None


def in_words(error: ValidationError) -> str:
    """Return the first thing wrong, in one line: `files.5.state.size: Field required`."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:60] for part in first["loc"][:8])
    message = re.sub(r"\s+", " ", first["msg"].split(" or instance of ")[0])[:200]
    return f"{where}: {message}" if where else message


def read(path: Path, schema: TypeAdapter[T], most_bytes: int) -> T:
    """Return the value of a JSON file.

    Raises:
        OSError: it cannot be read, or is not a regular file.
        Misfit: it is larger than allowed, or does not fit.
    """
    with open_regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise Misfit(f"larger than {most_bytes:,} bytes")
    return parse(schema, data)


def read_lines(path: Path) -> Iterator[tuple[bytes, Any]]:
    """Yield every line of a file of JSON lines with its value; None for one that is not JSON, or too long or deep.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    with open_regular(path) as file:
        while line := file.readline(LONGEST_LINE):
            whole = line
            while len(line) == LONGEST_LINE and not line.endswith(b"\n"):  # the rest of a line that is too long
                line, whole = file.readline(LONGEST_LINE), b""
            try:
                yield whole, from_json(whole) if whole else None
            except ValueError:
                yield whole, None
