"""The entry of a release for OpenModelDB, by the fields of its public schema."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from traiNNer.export.run_facts import data_of, is_degradation
from traiNNer.export.source import Source
from traiNNer.registry import ARCHS
from traiNNer.report.record import Record

PLATFORMS = {".safetensors": ("pytorch", "pth"), ".onnx": ("onnx", "onnx")}
"""Platform and type of a resource by its ending; the schema has one type for every file of PyTorch weights."""
TO_FILL = ("author", "license", "tags", "description", "resources[].urls", "images")
"""What nobody but the author can say."""


def model_id(name: str, scale: int) -> str:
    """Return the identifier of a model: `2x-name-of-it`, of letters, digits and single hyphens."""
    slug = re.sub(r"[^a-zA-Z0-9]+", "-", re.sub(rf"^{scale}x[-_ ]?", "", name)).strip("-")
    return f"{scale}x-{slug or 'model'}"


def entry(
    name: str, source: Source, record: Record | None, files: Sequence[tuple[str, int, str]], today: date
) -> dict[str, Any]:
    """Return the entry; `TO_FILL` names what is left empty.

    Args:
        name: of the release.
        source: the network.
        record: the run that trained it; None where that is unknown.
        files: name, bytes and SHA-256 of every file.
        today: the date of the release.
    """
    found: dict[str, Any] = {
        "name": re.sub(rf"^{source.scale}x[-_ ]?", "", name) or name,
        "author": "",
        "license": None,
        "tags": [],
        "description": "",
        "date": today.isoformat(),
        "architecture": _architecture(source),
        "size": None,
        "scale": source.scale,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [resource for file in files if (resource := _resource(*file))],
        "images": [],
    }
    return found | (_training(source, record) if record else {})


def _architecture(source: Source) -> str:
    family = ARCHS[source.arch].traits.family if source.arch in ARCHS else ""
    return (family or source.arch).lower()


def _resource(name: str, size: int, digest: str) -> dict[str, Any] | None:
    for ending, (platform, kind) in PLATFORMS.items():
        if name.endswith(ending):
            return {"platform": platform, "type": kind, "size": size, "sha256": digest, "urls": []}
    return None


def _training(source: Source, record: Record) -> dict[str, Any]:
    train = "datasets.train."
    patch, batch = record.value(f"{train}lq_size"), record.value(f"{train}batch_size_per_gpu")
    gt = record.value(f"{train}gt_size") or (patch * source.scale if isinstance(patch, int) else None)
    sets = [line.partition(": ")[2] for line in data_of(record) if line.startswith("train")]
    numbers = {
        "trainingIterations": source.about.get("iteration") or record.iteration,
        "trainingBatchSize": batch,
        "trainingHRSize": gt,
        "trainingOTF": any(is_degradation(key, "train") for key in record.options),
        "dataset": "; ".join(sets) or None,
    }
    return {key: value for key, value in numbers.items() if value is not None}
