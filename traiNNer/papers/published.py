"""Published scores, each with its source: facts in `published.json`, read when they are asked for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.json")
BICUBIC = "bicubic"
ALIASES = {"bsd100": "B100", "bsds100": "B100", "b100": "B100"}
SIMILAR = 3.0
"""Factor of parameters within which networks are of similar size."""
LEAST_ROWS = 4


@dataclass(frozen=True)
class Published:
    """A network as it was published.

    Args:
        network: its name.
        scale: upscaling factor.
        parameters: of the network in use.
        multiply_adds: for an output of 1280 x 720; None where they are not known.
        trained_on: the images; empty for bicubic.
        scores: PSNR in dB and SSIM of luma by set; of some only the first.
        source: where this was published.
    """

    network: str
    scale: int
    parameters: int
    multiply_adds: float | None
    trained_on: str
    scores: Mapping[str, Sequence[float]]
    source: str


@cache
def published() -> tuple[Published, ...]:
    """Return every row."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return tuple(
        Published(
            row["network"],
            row["scale"],
            row["parameters"],
            None if row["multiply_adds_g"] is None else row["multiply_adds_g"] * 1e9,
            row["trained_on"],
            row["scores"],
            content["sources"][row["source"]],
        )
        for row in content["rows"]
    )


def set_name(name: str) -> str:
    """Return the name under which a set is published: `Set5` for `set5`, `B100` for `BSD100`; others as they are."""
    known = {known.lower(): known for row in published() for known in row.scores} | ALIASES
    return known.get(name.lower(), name)


def bicubic_of(name: str, scale: int) -> Sequence[float] | None:
    """Return the published PSNR and SSIM of bicubic upscaling on a set; None where there is none."""
    rows = [row for row in published() if row.network == BICUBIC and row.scale == scale]
    return next((row.scores[set_name(name)] for row in rows if set_name(name) in row.scores), None)


def similar(parameters: int, scale: int, sets: Sequence[str]) -> list[Published]:
    """Return the published networks of a scale that are of similar size and have a score on one of the sets.

    At least the four nearest ones, in the order of their size.
    """
    wanted = {set_name(name) for name in sets}
    rows = [row for row in published() if row.scale == scale and row.parameters and wanted & row.scores.keys()]

    def factor(row: Published) -> float:
        return max(row.parameters / max(parameters, 1), parameters / row.parameters)

    nearest = sorted(rows, key=factor)
    kept = [row for place, row in enumerate(nearest) if place < LEAST_ROWS or factor(row) <= SIMILAR]
    return sorted(kept, key=lambda row: row.parameters)
