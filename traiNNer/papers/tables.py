"""The results of a benchmark as tables, with published networks of similar size beside the one that was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from traiNNer.papers.cost import Cost
from traiNNer.papers.published import bicubic_of, set_name, similar
from traiNNer.papers.scores import METRICS_BY_NAME, SetScores
from traiNNer.report.formats import Sheet

PROTOCOL = (
    "Ground truth is cut to multiples of the scale; LR images are made as MATLAB's imresize makes them (bicubic, "
    "antialiased), rounded to 8 bits; outputs are clamped and rounded to 8 bits; as many border pixels as the scale "
    "are left out; luma (y) is that of BT.601 in studio range, not rounded. Scores are means over images."
)
TITLES = {
    "psnr_y": "PSNR y",
    "ssim_y": "SSIM y",
    "psnr_rgb": "PSNR RGB",
    "ssim_rgb": "SSIM RGB",
    "lpips": "LPIPS",
    "dists": "DISTS",
}
CLOSE_DB = 0.05
"""How far bicubic upscaling may be from the published score: images of another source differ by more."""
MISSING = "–"


@dataclass(frozen=True)
class Result:
    """What a benchmark found of one network.

    Args:
        name: of the file.
        arch: of the network.
        scale: upscaling factor.
        sets: scores.
        cost: what it costs in use.
        missing: why a metric was not measured.
    """

    name: str
    arch: str
    scale: int
    sets: Sequence[SetScores]
    cost: Cost
    missing: Sequence[str]


def sheets(result: Result) -> list[Sheet]:
    """Return all tables."""
    return [_check(result), _scores(result), _cost(result), _published(result)]


def bicubic_notes(result: Result) -> Iterator[str]:
    """Yield a warning for every set on which bicubic upscaling does not come out as it was published."""
    for one in result.sets:
        known = bicubic_of(one.name, result.scale)
        if known and abs(one.as_published[0] - known[0]) > CLOSE_DB:
            yield (
                f"{one.name}: bicubic upscaling has {one.as_published[0]:.2f} dB, published are {known[0]:.2f}: these "
                "are not the images of the papers, so the scores below cannot be compared with theirs"
            )


def _check(result: Result) -> Sheet:
    rows = []
    for one in result.sets:
        known = bicubic_of(one.name, result.scale)
        rows.append(
            [
                one.name,
                str(one.count),
                _pair(one.as_published),
                _pair(known) if known else MISSING,
                f"{one.as_published[0] - known[0]:+.2f}" if known else MISSING,
            ]
        )
    note = "Luma alone is shrunk and enlarged, without rounding in between, as the published rows of bicubic were made."
    return Sheet(
        "Bicubic, against the published rows", ["set", "images", "here", "published", "difference"], rows, note
    )


def _scores(result: Result) -> Sheet:
    names = [name for name in METRICS_BY_NAME if name in result.sets[0].network]
    rows = []
    for one in result.sets:
        for title, scores in (("bicubic", one.bicubic), (result.name, one.network)):
            rows.append([one.name, title, *(_score(name, scores[name]) for name in names)])
        if one.gray_raw is not None:
            gray = f"{one.gray} gray image{'s' * (one.gray != 1)} by their own levels"
            blank = [MISSING] * (len(names) - 1)
            rows.append([one.name, f"{result.name}, {gray}", _score("psnr_y", one.gray_raw), *blank])
    return Sheet("Scores", ["set", "network", *(TITLES[name] for name in names)], rows, PROTOCOL)


def _cost(result: Result) -> Sheet:
    cost = result.cost
    rows = [
        [
            result.name,
            f"{cost.parameters:,}",
            MISSING if cost.multiply_adds is None else f"{cost.multiply_adds / 1e9:,.1f} G",
            f"{cost.milliseconds:,.1f}",
            MISSING if cost.peak_bytes is None else f"{cost.peak_bytes / 2**20:,.0f} MiB",
            cost.device,
        ]
    ]
    head = ["network", "parameters", "multiply-adds", "ms", "peak memory", "device"]
    return Sheet("Cost", head, rows, "For an output of 1280 x 720, in the form that is released.")


def _published(result: Result) -> Sheet:
    names = [one.name for one in result.sets]
    head = ["network", "parameters", "multiply-adds", *names, "trained on", "source"]
    rows, found = [_own_row(result)], similar(result.cost.parameters, result.scale, names)
    sources = list(dict.fromkeys(row.source for row in found))
    for row in found:
        scores = [_pair(row.scores[set_name(name)]) if set_name(name) in row.scores else MISSING for name in names]
        adds = MISSING if row.multiply_adds is None else f"{row.multiply_adds / 1e9:,.1f} G"
        number = f"[{sources.index(row.source) + 1}]"
        rows.append([row.network, f"{row.parameters:,}", adds, *scores, row.trained_on, number])
    listed = "; ".join(f"[{number}] {source}" for number, source in enumerate(sources, 1))
    note = (
        f"PSNR/SSIM of luma. {listed}." if found else "Nothing is known of other networks at this scale on these sets."
    )
    return Sheet("Beside published networks of similar size", head, rows, note)


def _own_row(result: Result) -> list[str]:
    cost = result.cost
    return [
        f"{result.name} ({result.arch})",
        f"{cost.parameters:,}",
        MISSING if cost.multiply_adds is None else f"{cost.multiply_adds / 1e9:,.1f} G",
        *(_pair((one.network["psnr_y"], one.network["ssim_y"])) for one in result.sets),
        MISSING,
        "here",
    ]


def _pair(scores: Sequence[float]) -> str:
    return f"{scores[0]:.2f}/{scores[1]:.4f}" if len(scores) > 1 else f"{scores[0]:.2f}"


def _score(name: str, value: float) -> str:
    return f"{value:.2f}" if name.startswith("psnr") else f"{value:.4f}"


def as_json(result: Result) -> dict[str, Any]:
    """Return everything, with all digits."""
    names = [one.name for one in result.sets]
    rows = [asdict(row) for row in similar(result.cost.parameters, result.scale, names)]
    return asdict(result) | {"protocol": PROTOCOL, "published": rows}
