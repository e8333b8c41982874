"""What the run that trained a weights file says about it: data, options, scores, example images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from traiNNer.report.record import Record, read_record
from traiNNer.report.verdict import scores_of, shown

PRIVATE = ("path.", "logger.", "name", "dataroot", "num_worker", "num_gpu", "auto_resume", "meta_info", "cache")
"""Parts of keys that say where files of the author lie, or how the author's machine worked."""
PARTS = ("bicubic", "output", "gt")


@dataclass(frozen=True)
class Example:
    """A crop of a validation image: its caption, and the files of bicubic upscaling, output and ground truth."""

    caption: str
    files: dict[str, Path]


def run_of(weights: Path) -> Record | None:
    """Return the run that a weights file lies in the folder of; None for any other file."""
    for folder in weights.absolute().parents[:2]:
        if (folder / "metrics.jsonl").is_file():
            return read_record(folder)
    return None


def data_of(record: Record) -> list[str]:
    """Return a line for every set: its section, its folders by name, and how its images are degraded."""
    sections = dict.fromkeys(key.split(".")[1] for key in record.options if key.startswith("datasets."))
    lines = []
    for section in sections:
        found = {
            key: value for key in ("dataroot_gt", "dataroot_lq") if (value := record.value(f"datasets.{section}.{key}"))
        }
        roots = ", ".join(f"{key.removeprefix('dataroot_').upper()} {_names(value)}" for key, value in found.items())
        kinds = [record.value(key) for key in record.options if is_degradation(key, section)]
        made = f"; LQ made by {', '.join(map(str, kinds))}" if kinds else ""
        lines.append(f"{section}: {roots or 'no folder'}{made}")
    return lines


def is_degradation(key: str, section: str) -> bool:
    """Whether a key names a degradation of a set."""
    return key.startswith(f"datasets.{section}.degradations") and key.endswith(".type")


def _names(value: Any) -> str:
    """Return folders; of those that are named from the root of the disk, which is the author's own, the name alone."""
    roots = [str(root) for root in (value if isinstance(value, list) else [value])]
    return ", ".join(PurePath(root).name if PurePath(root).is_absolute() else root for root in roots)


def options_of(record: Record) -> list[tuple[str, str]]:
    """Return every option that was set, as key and value; nothing that tells where the author's files lie."""
    return [
        (key, option.written)
        for key, option in record.options.items()
        if not option.is_default and not any(part in key for part in PRIVATE)
    ]


def protocol_of(record: Record, metric: str) -> str:
    """Return how a metric was computed."""
    options = {
        key.rsplit(".", 1)[1]: option.written
        for key, option in record.options.items()
        if key.startswith(f"val.metrics.{metric}.") and not key.endswith(".type")
    }
    words = {"true": "on luma (BT.601)", "false": "on RGB"}
    border = options.get("crop_border", "null")
    parts = [words[value] for key, value in options.items() if key == "test_y_channel" and value in words]
    parts.append(
        f"{border} pixels of border left out" if border != "null" else "as many border pixels left out as the scale"
    )
    return ", ".join(parts)


def score_rows(record: Record) -> list[list[str]]:
    """Return set, metric, score, bicubic and protocol of the last validation."""
    return [
        [
            score.set_name,
            score.metric,
            shown(score.best),
            "-" if score.bicubic is None else shown(score.bicubic),
            f"best, at iteration {score.best_at:,}; {protocol_of(record, score.metric)}",
        ]
        for score in scores_of(record)
    ]


def examples_of(record: Record) -> Iterator[Example]:
    """Yield the example crops whose files are there."""
    for example in record.last("examples").get("images") or []:
        try:
            files = {part: record.folder / example["files"][part] for part in PARTS}
            caption = f"{example['rank']} of {example['set']} by {example['metric']}: {PurePath(example['key']).name}"
        except (KeyError, TypeError):
            continue
        inside = all(file.resolve().is_relative_to(record.folder.resolve()) for file in files.values())
        if inside and all(file.is_file() for file in files.values()):
            yield Example(caption, files)
