"""The page of a release: what the network is, what it was trained on, how good it is, and how to use it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from traiNNer.export.run_facts import data_of, options_of, score_rows
from traiNNer.export.source import Source
from traiNNer.registry import ARCHS
from traiNNer.report.record import Record
from traiNNer.utils.meta import parameter_count
from traiNNer.utils.printable import printable_name

MISSING = "Not known here: these weights do not lie in the folder of a run."


@dataclass(frozen=True)
class Release:
    """What a release consists of.

    Args:
        name: of the release and its files.
        source: the network.
        record: the run that trained it; None where that is unknown.
        files: name, bytes and SHA-256 of every file.
        proofs: what was compared, a line each.
        images: caption and file of before/after pictures, relative to the page.
    """

    name: str
    source: Source
    record: Record | None
    files: Sequence[tuple[str, int, str]]
    proofs: Sequence[str]
    images: Sequence[tuple[str, str]]


def model_card(release: Release) -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines(release))


def _lines(release: Release) -> Iterator[str]:
    source, record = release.source, release.record
    yield from (f"# {_text(release.name)}", "", f"{source.scale}x, {source.arch}, trained with traiNNer.", "")
    yield from _table(["", ""], _facts(source, record))
    yield from ("", "## Files", "")
    yield from _table(
        ["file", "bytes", "SHA-256"], [[name, f"{size:,}", digest] for name, size, digest in release.files]
    )
    yield from ("", "`sha256sum -c SHA256SUMS` checks them. What was compared before they were written:", "")
    yield from (f"- {_text(proof)}" for proof in release.proofs)
    yield from ("", "## Use", "", *_use(release), "", "## Data", "")
    yield from ([f"- {_text(line)}" for line in data_of(record)] if record else [MISSING])
    yield from ("", "## Options", "")
    if record:
        yield from ("What was set; everything else is traiNNer's default.", "")
        yield from _table(["option", "value"], options_of(record))
    else:
        yield MISSING
    yield from ("", "## Scores", "")
    rows = score_rows(record) if record else []
    yield from _table(["set", "metric", "score", "bicubic", "protocol"], rows) if rows else ["No validation is known."]
    if release.images:
        yield from ("", "## Before and after", "", "Bicubic upscaling, output, ground truth.", "")
        for caption, file in release.images:
            yield from (f"{_text(caption)}", "", f"![{_text(caption)}]({file})", "")
    yield ""


def _facts(source: Source, record: Record | None) -> Iterator[Sequence[str]]:
    options = {key: value for key, value in source.about.get("options", {}).items() if value is not None}
    yield ("scale", str(source.scale))
    yield (
        "network",
        f"{source.arch} ({', '.join(f'{key}: {value}' for key, value in options.items()) or 'as published'})",
    )
    yield ("parameters", f"{parameter_count(source.released, trained=False):,} when released")
    clips = f"{source.frames} x " if source.frames > 1 else ""
    middle = "; the middle one of the frames is made" if clips else ""
    yield ("images", f"RGB in [0, 1], B x {clips}3 x H x W, of any size{_least(source)}{middle}")
    if source.arch in ARCHS and source.traits.license:
        yield ("license of the network's code", source.traits.license)
    yield ("license of the weights", "not stated: its author decides")
    iteration = source.about.get("iteration") or (record.iteration if record else None)
    if iteration:
        yield ("iterations", f"{iteration:,}")
    if record and (versions := record.last("run_started").get("versions")):
        yield ("trained with", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _least(source: Source) -> str:
    return f" from {source.least_side} pixels a side on" if source.least_side > 1 else ""


def _use(release: Release) -> Iterator[str]:
    weights = f"{release.name}.safetensors"
    source_name = "FILM" if release.source.frames > 1 else "IMAGES"
    yield f"- `trainner upscale -m {weights} -i {source_name} -o OUT`"
    if release.source.is_known_elsewhere:
        yield f"- chaiNNer, ComfyUI and other programs that use spandrel open `{weights}`."
    else:
        yield f"- Programs that use spandrel do not know {release.source.arch}: give them the ONNX file."
    yield f"- onnxruntime and what is built on it open `{release.name}.onnx`; input and output are float32 images."


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_text(cell) for cell in row)} |"


def _text(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return printable_name(text).replace("|", r"\|").replace("<", "&lt;")
