"""What the training automations did in a run and why, as a table for the user."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from traiNNer.config.names import refusal
from traiNNer.errors import ConfigError
from traiNNer.utils.bounded import read_lines
from traiNNer.utils.printable import printable
from traiNNer.utils.rows import FoldingTable

RECORD = "decisions.jsonl"
Decision = Mapping[str, Any]


def explain_run(root: Path, name: str) -> Group:
    """Return every decision of the run `name` below `root` and a count for each automation.

    Raises:
        ConfigError: for a run that does not exist, or a record that cannot be read.
    """
    decisions = read_decisions(_folder(root, name) / RECORD)
    if not decisions:
        return Group(Text(f"{name}: no decisions were recorded."))
    return Group(_table(decisions), *(Text(line) for line in _counts(decisions)))


def read_decisions(path: Path) -> list[Decision]:
    """Return the decisions of a record, none when there is no file; a line that a killed run left half is skipped."""
    try:
        lines = [value for _, value in read_lines(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    return [entry for entry in lines if isinstance(entry, dict) and entry.get("event") == "decision"]


def _folder(root: Path, name: str) -> Path:
    if message := refusal(name):
        raise ConfigError(message)
    if (root / name).is_dir():
        return root / name
    raise missing_run(root, name, [run.name for run in root.iterdir() if run.is_dir()] if root.is_dir() else [])


def missing_run(root: Path, name: str, runs: Sequence[str]) -> ConfigError:
    """Return what to raise for a run that `root` does not hold, with the nearest of the `runs` there."""
    if not root.is_dir():
        return ConfigError(f"There is no folder {root}; name the folder of the runs with --root.")
    return ConfigError(f"There is no run {root / name}{_hint(name, runs)}")


def _hint(name: str, runs: Sequence[str]) -> str:
    folded = {run.lower(): run for run in sorted(runs)}
    near = [folded[run] for run in get_close_matches(name.lower(), list(folded), n=3, cutoff=0.5)]
    listed = near or sorted(runs)[:5]
    return f"; {'nearest' if near else 'there'}: {', '.join(listed)}" if listed else "; there is none"


def _table(decisions: Sequence[Decision]) -> FoldingTable:
    table = FoldingTable("iteration", "automation", "change", "reason", "evidence")
    table.columns[0].justify = "right"
    for decision in decisions:
        table.add_row(*(Text(printable(cell)) for cell in _cells(decision)))
    return table


def _cells(decision: Decision) -> Iterator[str]:
    yield _short(decision.get("iter"))
    yield _short(decision.get("automation"))
    yield change_of(decision)
    yield _short(decision.get("reason"))
    evidence = decision.get("evidence")
    yield ", ".join(f"{key} {_short(value)}" for key, value in evidence.items()) if isinstance(evidence, dict) else ""


def change_of(decision: Decision) -> str:
    """Return `lr_factor 1 -> 0.5`, or the action of a decision that moved nothing."""
    knob, action = decision.get("knob"), decision.get("action")
    moved = f"{knob} {_short(decision.get('old'))} -> {_short(decision.get('new'))}" if knob else ""
    done = (f"{moved} ({action})" if action else moved) if moved else _short(action)
    return f"{done} [shadow: not applied]".lstrip() if decision.get("shadow") else done


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _counts(decisions: Sequence[Decision]) -> Iterator[str]:
    """Yield for each automation how often it decided what: `…: 3 decisions (lr_factor 2, rollback 1)`."""
    automations: dict[str, Counter[str]] = {}
    for decision in decisions:
        kind = _short(decision.get("knob") or decision.get("action")) or "other"
        automations.setdefault(_short(decision.get("automation")), Counter())[kind] += 1
    for automation, kinds in automations.items():
        total = kinds.total()
        listed = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        yield f"{automation}: {total} decision{'s' if total > 1 else ''} ({listed})"
