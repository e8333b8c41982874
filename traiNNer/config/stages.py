"""One option file for several trainings, each of which starts from the weights of the one before."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from traiNNer.config.files import read_text
from traiNNer.config.from_weights import NetworkOf
from traiNNer.config.load import Loaded, load_root
from traiNNer.config.names import refusal
from traiNNer.config.options import TrainOptions
from traiNNer.config.overrides import apply_overrides
from traiNNer.config.tree import Node, Report
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError

STAGES = "stages"
BEST, LAST = "best", "last"
OWN = ("name", "start_from")
SHARED_PLACES = (
    "models",
    "resume_models",
    "training_states",
    "log",
    "visualization",
    "resume_state",
)
"""Options of `path` that would put the files of all stages into one folder."""


@dataclass(frozen=True)
class Stage:
    """One stage: its name, which weights of the stage before it starts from, and its checked options."""

    name: str
    start_from: str
    loaded: Loaded[TrainOptions]


def has_stages(path: Path) -> bool:
    """Whether an option file has stages. Raises `ConfigError` for one that cannot be read."""
    section = load_yaml(read_text(path), str(path)).root.child(STAGES)
    return section is not None and section.value not in (None, [])


def load_stages(
    path: Path,
    overrides: Sequence[str] = (),
    weights: Sequence[str | None] = (),
    network_of: NetworkOf | None = None,
) -> list[Stage]:
    """Read, complete and check every stage of an option file.

    The run of a stage is called by the stage's name and lies in the folder of the whole run. An override counts for
    every stage; one that begins with `stages.<name>.` for that stage alone; `name=` for the whole run.

    Args:
        path: the option file.
        overrides: `key=value` texts, as after `--set`.
        weights: for each stage the file to start from, where that is known already.
        network_of: reads which network a weights file holds, for a stage that leaves `network_g` out.

    Raises:
        ConfigError: with every problem of the first stage that has one.
    """
    text = read_text(path)
    report = Report()
    root = load_yaml(text, str(path)).root
    apply_overrides(root, tuple(one for one in overrides if _names_the_run(one)), TrainOptions, report)
    overrides = [one for one in overrides if not _names_the_run(one)]
    section = root.value.pop(STAGES)
    parts = _checked_stages(section, root, report)
    if report.problems:
        raise ConfigError(str(path), report.sorted())
    names = [str(part.entries()["name"].value) for part in parts]
    _refuse_unknown(overrides, names)
    stages = []
    for place, (part, name) in enumerate(zip(parts, names, strict=True)):
        given = weights[place] if place < len(weights) else None
        ours = [*_of_stage(overrides, name), *([f"path.pretrain_network_g={json.dumps(given)}"] if given else [])]
        start = part.child("start_from") or Node(BEST)
        loaded = load_root(_merged(root, part, name), path, TrainOptions, text, ours, network_of)
        stages.append(Stage(name, str(start.value), loaded))
    return stages


def _checked_stages(section: Node, root: Node, report: Report) -> list[Node]:
    if not isinstance(section.value, list) or not section.value:
        report.at(section, "must be a list of stages, each with a name and the options that differ")
        return []
    for key in SHARED_PLACES:
        node = root.at(("path", key))
        if node is not None and node.value is not None:
            report.at(node, "would mix up the files of the stages, each of which has a folder; remove it")
    seen: set[str] = set()
    for place, part in enumerate(section.value):
        if not isinstance(part.value, dict):
            report.at(part, "must be a section: a name and the options that differ")
            continue
        name = part.value.setdefault("name", Node(f"stage_{place + 1}", part.line, f"{part.key}.name"))
        message = refusal(name.value) if isinstance(name.value, str) else "must be a text"
        message = f"is the name of two stages: {name.value}" if not message and name.value in seen else message
        if message:
            report.at(name, message, show=False)
        seen.add(str(name.value))
        _check_start(part, place, report)
    return section.value


def _check_start(part: Node, place: int, report: Report) -> None:
    start = part.child("start_from")
    if start is None:
        return
    if place == 0:
        report.at(start, "has no stage before it; path.pretrain_network_g names weights to start from")
    elif start.value not in (BEST, LAST):
        report.at(start, f"must be {BEST} (by the first metric of the stage before) or {LAST}")


def _merged(root: Node, part: Node, name: str) -> Node:
    """Return the options of a stage: those of the file with those of the stage put over them."""
    whole = deepcopy(root)
    title = whole.value.get("name", Node("", None, "name"))
    path = whole.value.setdefault("path", Node({}, None, "path"))
    if path.value is None:
        path.value = {}
    place = path.entries().get("experiments_root", Node("experiments", None, "path.experiments_root"))
    _lay_over(whole, Node({key: deepcopy(node) for key, node in part.entries().items() if key not in OWN}))
    if isinstance(path.value, dict) and isinstance(title.value, str):
        # A name that cannot be a folder is refused where it stands.
        bad = refusal(title.value)
        path.value["experiments_root"] = Node(f"{place.value}/{title.value}", place.line, place.key, place.source)
        whole.value["name"] = title if bad else Node(name, part.line, f"{part.key}.name")
    return whole


def _lay_over(below: Node, above: Node) -> None:
    """Put sections over sections key by key; a component of another type, a list or a value replaces the whole."""
    for key, node in above.entries().items():
        old = below.value.get(key)
        if old is None or not isinstance(old.value, dict) or not isinstance(node.value, dict) or _other(old, node):
            below.value[key] = node
        else:
            _lay_over(old, node)


def _other(old: Node, node: Node) -> bool:
    kinds = [one.child("type") for one in (old, node)]
    return kinds[1] is not None and (kinds[0] is None or kinds[0].value != kinds[1].value)


def _names_the_run(override: str) -> bool:
    """Whether an override is `name=…`, which is the name of all stages together."""
    return override.partition("=")[0].strip() == "name"


def _of_stage(overrides: Sequence[str], name: str) -> list[str]:
    prefix = f"{STAGES}.{name}."
    others = [text for text in overrides if not text.startswith(f"{STAGES}.")]
    return others + [text.removeprefix(prefix) for text in overrides if text.startswith(prefix)]


def _refuse_unknown(overrides: Sequence[str], names: Sequence[str]) -> None:
    for text in overrides:
        if text.startswith(f"{STAGES}.") and not any(text.startswith(f"{STAGES}.{name}.") for name in names):
            raise ConfigError(f"--set {text}: no such stage   known: {', '.join(names)}")
