"""What a sweep varies: `key=a,b` lists values, `key=low..high` gives a range to search in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from traiNNer.config.names import MAX_CHARACTERS, refusal
from traiNNer.config.overrides import OverrideError, parse_key
from traiNNer.errors import ConfigError

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})")
ORDERS = 10.0
"""Quotient of the ends of a range from which it is searched in powers, as learning rates are."""
MOST_RUNS = 1000
OPENING, CLOSING = "[{(", "]})"


@dataclass(frozen=True)
class Axis:
    """An option and its values as they are written after `--set`."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """An option and the range that its value is searched in; whole numbers where both ends are."""

    key: str
    low: float
    high: float
    is_whole: bool

    @property
    def in_powers(self) -> bool:
        """Whether the exponent is what is searched."""
        return self.low > 0 and self.high / self.low >= ORDERS


@dataclass(frozen=True)
class Point:
    """One run of a sweep: the name of its folder, and what is set in it."""

    name: str
    values: Mapping[str, str]
    seed: int

    def overrides(self) -> list[str]:
        """Return what is set, as after `--set`."""
        return [*(f"{key}={value}" for key, value in self.values.items()), f"manual_seed={self.seed}"]


def parse_axes(texts: Sequence[str]) -> list[Axis | Range]:
    """Read `key=a,b` and `key=low..high`. Raises `ConfigError` for other texts, and for a key that is given twice."""
    found = [_parsed(text) for text in texts]
    keys = [axis.key for axis in found]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ConfigError(f"{twice[0]} is given twice: list all its values in one text, as {twice[0]}=a,b")
    return found


def _parsed(text: str) -> Axis | Range:
    key, equals, value = text.partition("=")
    try:
        if not (equals and value):
            raise OverrideError("write KEY=VALUE,VALUE or KEY=LOW..HIGH, e.g. train.optim_g.lr=1e-3,2e-3")
        parse_key(key)
    except OverrideError as error:
        raise ConfigError(f"{text}: {error}") from None
    if ends := RANGE.fullmatch(value):
        low, high = float(ends[1]), float(ends[2])
        if low >= high:
            raise ConfigError(f"{text}: the first end must be below the second")
        return Range(key, low, high, all(re.fullmatch(r"[-+]?\d+", end) for end in ends.groups()))
    values = tuple(_split(value))
    if len(set(values)) < len(values) or not all(values):
        raise ConfigError(f"{text}: the values must differ, and none may be empty")
    return Axis(key, values)


def _split(text: str) -> Iterator[str]:
    """Split at commas that stand in no brackets and no quotes."""
    depth, quote, part = 0, "", ""
    for sign in text:
        if sign in "\"'" and quote in ("", sign):
            quote = "" if quote else sign
        depth += not quote and (sign in OPENING) - (sign in CLOSING)
        if sign == "," and not depth and not quote:
            yield part.strip()
            part = ""
        else:
            part += sign
    yield part.strip()


def points(axes: Sequence[Axis], seeds: Sequence[int]) -> list[Point]:
    """Return every combination of values with every seed; runs of one combination follow each other.

    Raises:
        ConfigError: there are more than `MOST_RUNS`.
    """
    titles = _titles([axis.key for axis in axes])
    found: list[Point] = []
    for values in product(*(axis.values for axis in axes)):
        named = {axis.key: value for axis, value in zip(axes, values, strict=True)}
        name = "_".join(f"{titles[key]}-{value}" for key, value in named.items())
        for seed in seeds:
            found.append(Point(_name(f"{name}_seed-{seed}" if name else f"seed-{seed}"), named, seed))
            if len(found) > MOST_RUNS:
                raise ConfigError(f"a sweep has at most {MOST_RUNS:,} runs: list fewer values")
    names = [point.name for point in found]
    return [
        point if names.count(point.name) == 1 else Point(f"{point.name}_{place}", point.values, point.seed)
        for place, point in enumerate(found)
    ]


def _titles(keys: Sequence[str]) -> dict[str, str]:
    """Return what each key is called in names: its last part, or all of it where two would be the same."""
    short = [key.rsplit(".", 1)[-1] for key in keys]
    return {key: title if short.count(title) == 1 else key for key, title in zip(keys, short, strict=True)}


def _name(text: str) -> str:
    """Return a name for a folder: what is not allowed in one becomes a hyphen."""
    name = "".join(sign if refusal(f"a{sign}a") is None else "-" for sign in text)[: MAX_CHARACTERS - 5].strip(" .")
    return name if refusal(name) is None else f"run-{name}"
