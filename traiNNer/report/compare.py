"""Runs against each other: what was set differently, what came out, and how certain the difference is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean, stdev
from typing import Any

from traiNNer.errors import ConfigError
from traiNNer.report.bootstrap import interval
from traiNNer.report.formats import Sheet
from traiNNer.report.record import Option, Record
from traiNNer.report.verdict import Score, scores_of, shown

SEED = "manual_seed"
ASIDE = ("name", "path.", "logger.", "auto_resume")
"""Options, or beginnings of their keys, that no result depends on."""


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed."""

    label: str
    runs: tuple[Record, ...]

    @property
    def options(self) -> Mapping[str, Option]:
        """What the runs have in common, by key."""
        return settings(self.runs[0])


def settings(record: Record) -> dict[str, Option]:
    """Return the options that a result may depend on, the seed left out."""
    return {key: one for key, one in record.options.items() if key != SEED and not key.startswith(ASIDE)}


def grouped(records: Sequence[Record]) -> list[Group]:
    """Gather runs that differ in their seed only, in the order in which they were named.

    Raises:
        ConfigError: a run is named twice.
    """
    folders = [record.folder.resolve() for record in records]
    twice = [folder for folder in folders if folders.count(folder) > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is named twice.")
    found: list[list[Record]] = []
    for record in records:
        same = next((group for group in found if _is_repeat(record, group)), None)
        if same is None:
            found.append([record])
        else:
            same.append(record)
    names = [group[0].name for group in found]
    return [Group(_label(group, names.count(group[0].name) > 1), tuple(group)) for group in found]


def _label(runs: Sequence[Record], is_ambiguous: bool) -> str:
    name = str(runs[0].folder) if is_ambiguous else runs[0].name
    return f"{name} ({len(runs)} seeds)" if len(runs) > 1 else name


def _is_repeat(record: Record, group: Sequence[Record]) -> bool:
    """Return whether a run is one more of a group: equal options, another seed."""
    seeds = [one.value(SEED) for one in group]
    mine, others = ({key: one.value for key, one in settings(run).items()} for run in (record, group[0]))
    return bool(mine) and mine == others and record.value(SEED) not in seeds


def sheets(groups: Sequence[Group], seed: int = 0) -> list[Sheet]:
    """Return the tables of a comparison; `seed` is that of the bootstrap."""
    return [_options(groups), _scores(groups), *_differences(groups, seed)]


def _options(groups: Sequence[Group]) -> Sheet:
    keys = dict.fromkeys(key for group in groups for key in group.options)
    rows = []
    for key in keys:
        options = [group.options.get(key) for group in groups]
        if None in options and all(one is None or one.is_default for one in options):
            continue  # the defaults of a component that only some of the runs have
        values = ["–" if one is None else one.written for one in options]
        if len(set(values)) > 1:
            rows.append([key, *values])
    note = "" if rows else "None: the runs have equal options."
    return Sheet("Options that differ", ["option", *(group.label for group in groups)], rows, note)


def _scores(groups: Sequence[Group]) -> Sheet:
    tables = [[{(one.set_name, one.metric): one for one in scores_of(run)} for run in group.runs] for group in groups]
    keys = dict.fromkeys(key for group in tables for run in group for key in run)
    rows = []
    for key in keys:
        found = [[run[key] for run in group if key in run] for group in tables]
        bicubic = next((one.bicubic for group in found for one in group if one.bicubic is not None), None)
        rows.append([*key, "–" if bicubic is None else shown(bicubic), *map(_summary, found)])
    rows.append(["", "iterations", "", *(_numbers([run.iteration for run in group.runs]) for group in groups)])
    note = "Of the last validation"
    note += "; mean ± standard deviation over seeds." if any(len(group.runs) > 1 for group in groups) else "."
    return Sheet("Scores", ["set", "metric", "bicubic", *(group.label for group in groups)], rows, note)


def _summary(scores: Sequence[Score]) -> str:
    values = [one.last for one in scores]
    if len(values) < 2:
        return shown(values[0]) if values else "–"
    mean = fmean(values)
    return f"{shown(mean)} ± {shown(stdev(values), mean)}"


def _numbers(values: Sequence[int]) -> str:
    return " / ".join(f"{value:,}" for value in dict.fromkeys(values))


def _differences(groups: Sequence[Group], seed: int) -> Iterator[Sheet]:
    """Yield the differences of every other group to the first one, image by image."""
    first, *others = groups
    rows = []
    for other in others:
        for set_name, metric in dict.fromkeys(key for run in first.runs for key in _measured(run)):
            before, after = images_of(first, set_name, metric), images_of(other, set_name, metric)
            common = [key for key in before if key in after]
            if not common:
                continue
            found = interval([after[key] - before[key] for key in common], seed)
            size = abs(fmean(before.values()))
            bounds = f"{_signed(found.low, size)} to {_signed(found.high, size)}"
            better = sum(after[key] > before[key] for key in common)
            clear = "yes" if found.is_clear else "no"
            numbers = [_signed(found.mean, size), bounds, clear, f"{better} of {found.count}"]
            rows.append([other.label, set_name, metric, *numbers])
    if not others:
        return
    note = (
        "Mean over the images that both have, with a 95 % bootstrap interval: what another choice of images could "
        "change. What another seed changes is the ± above."
        if rows
        else "The runs have no scores of single images in common: a run that ends with a validation records them."
    )
    head = ["run", "set", "metric", "difference", "95 % interval", "clear", "higher on"]
    yield Sheet(f"Differences to {first.label}, image by image", head, rows, note)


def _signed(value: float, size: float) -> str:
    return f"{value:+.{2 if size >= 2 else 4}f}"


def _measured(record: Record) -> list[tuple[str, str]]:
    names = record.last("image_scores").get("sets") or {}
    return [(name, metric) for name in names for metric in record.metrics]


def images_of(group: Group, set_name: str, metric: str) -> dict[str, float]:
    """Return the score of every image, the mean over the runs; an image that a run has no number for is left out."""
    tables = [(run.last("image_scores").get("sets") or {}).get(set_name) or {} for run in group.runs]
    found: dict[str, float] = {}
    for key in tables[0]:
        values = [_score(table.get(key) or {}, metric) for table in tables]
        if all(isfinite(value) for value in values):
            found[key] = fmean(values)
    return found


def _score(values: Mapping[str, Any], metric: str) -> float:
    value = values.get(metric)
    return float(value) if isinstance(value, int | float) else inf
