"""What a run left in its folder, read back: the events of `metrics.jsonl`, the decisions, the resolved options."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from traiNNer.config.names import refusal
from traiNNer.config.tree import DEFAULT, FILE, Node, key_of
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError
from traiNNer.report.decisions import RECORD, Decision, missing_run, read_decisions

Event = Mapping[str, Any]
Curve = list[tuple[int, float]]
COMMENT = re.compile(rf".*  # ((?:{FILE}|{DEFAULT}|--set|auto).*)$")


@dataclass(frozen=True)
class Option:
    """A value as it is written, and where it came from: `file line 3`, `--set` or `default`."""

    value: Any
    source: str

    @property
    def written(self) -> str:
        """The value as it stands in a file."""
        words = {True: "true", False: "false", None: "null"}
        return words[self.value] if self.value is None or isinstance(self.value, bool) else str(self.value)

    @property
    def is_default(self) -> bool:
        """Whether nobody asked for the value."""
        return self.source == DEFAULT


@dataclass(frozen=True)
class Record:
    """A run as its folder tells it."""

    folder: Path
    name: str
    events: tuple[Event, ...]
    decisions: tuple[Decision, ...]
    options: Mapping[str, Option]

    def of(self, kind: str) -> list[Event]:
        """Return the events of one kind, oldest first."""
        return [event for event in self.events if event["event"] == kind]

    def last(self, kind: str) -> Event:
        """Return the newest event of a kind, an empty one where there is none."""
        found = self.of(kind)
        return found[-1] if found else {}

    def curve(self, kind: str, key: str) -> Curve:
        """Return (iteration, value) of one number; what was not finite is left out."""
        pairs = [(event["iter"], event.get(key)) for event in self.of(kind)]
        return [(at, float(value)) for at, value in pairs if isinstance(value, int | float)]

    def keys(self, kind: str) -> list[str]:
        """Return the names of all numbers of the events of one kind, in the order in which they appear."""
        own = ("event", "iter", "time", "seconds")
        return list(dict.fromkeys(key for event in self.of(kind) for key in event if key not in own))

    def value(self, key: str, default: Any = None) -> Any:
        """Return an option by its key, as `train.total_iter`."""
        option = self.options.get(key)
        return default if option is None else option.value

    @property
    def iteration(self) -> int:
        """The last iteration that the record knows."""
        return max((event["iter"] for event in self.events), default=0)

    @property
    def total(self) -> int:
        """How many iterations the run was to have, as it was planned last."""
        plans = [decision["new"] for decision in self.decisions if decision.get("action") == "plan"]
        planned = plans[-1] if plans else self.last("run_started").get("total_iter")
        return int(planned or self.value("train.total_iter") or self.iteration)

    @cached_property
    def seconds(self) -> float | None:
        """How long all starts of the run took together; None for a record without times."""
        total, latest = 0.0, None
        for event in self.events:
            now = event.get("seconds")
            if not isinstance(now, int | float):
                continue
            if latest is not None and now < latest:  # a new start counts from zero
                total += latest
            latest = now
        return None if latest is None else total + latest

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that were validated with, without those of bicubic upscaling."""
        names = {key.rsplit("/", 1)[1]: None for key in self.keys("validation") if key.startswith("val/")}
        asked = [key.split(".")[2] for key in self.options if re.fullmatch(r"val\.metrics\.[^.]+\.type", key)]
        return [name for name in asked if name in names] or [name for name in names if not name.endswith("_bicubic")]

    @property
    def sets(self) -> list[str]:
        """The names of the validation sets."""
        keys = [key for key in self.keys("validation") if key.startswith("val/")]
        return list(dict.fromkeys(key.split("/", 1)[1].rsplit("/", 1)[0] for key in keys))

    def is_lower_better(self, metric: str) -> bool:
        """Whether a smaller score is the better one."""
        return "lower" in (self.last("image_scores").get("better") or {}).get(metric, "")


def find_run(root: Path, name: str) -> Path:
    """Return the folder of a run that is named by its folder or by its name below `root`. Raises `ConfigError`."""
    if (Path(name) / "metrics.jsonl").is_file():
        return Path(name)
    if "/" not in name and (message := refusal(name)):
        raise ConfigError(message)
    folder = root / name
    if (folder / "metrics.jsonl").is_file():
        return folder
    if folder.is_dir():
        raise ConfigError(f"{folder} holds no metrics.jsonl: it is not a run, or one that never began to train.")
    raise missing_run(root, name, [run.parent.name for run in root.glob("*/metrics.jsonl")])


def read_record(folder: Path) -> Record:
    """Read a run's folder. Raises `ConfigError` for files that cannot be read."""
    options = _read_options(folder / "resolved.yml")
    named = options.get("name")
    return Record(
        folder,
        str(named.value) if named else folder.name,
        tuple(_events(folder / "metrics.jsonl")),
        tuple(read_decisions(folder / RECORD)),
        options,
    )


def _events(path: Path) -> Iterator[Event]:
    """Yield what each line says; a line that a killed run left half is skipped."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("event"), str) and isinstance(entry.get("iter"), int):
            yield entry


def _read_options(path: Path) -> dict[str, Option]:
    """Return every option by its key; none where the file is gone."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    lines = text.splitlines()
    found = load_yaml(text, str(path))
    return {key_of(place): Option(node.plain(), _source(lines, node)) for place, node in _leaves(found.root, ())}


def _leaves(node: Node, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    value = node.value
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*place, key))
    elif isinstance(value, list) and value and all(isinstance(child.value, dict) for child in value):
        for index, child in enumerate(value):
            yield from _leaves(child, (*place, index))
    else:
        yield place, node


def _source(lines: list[str], node: Node) -> str:
    found = COMMENT.match(lines[node.line - 1]) if node.line else None
    return found.group(1) if found else FILE
