"""The parts of the report's page below the curves: images, decisions, options, training images, environment."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from traiNNer.report.decisions import change_of
from traiNNer.report.pictures import examples
from traiNNer.report.record import Record
from traiNNer.report.table import Row, folded, table, text_of
from traiNNer.report.verdict import scores_of, shown
from traiNNer.utils.durations import duration

MOST_IMAGES = 100
"""Rows of each end of the list of images."""


def facts(record: Record) -> str:
    """Return the numbers that a reader looks for first."""
    pairs = "".join(f"<div><dt>{text_of(name)}</dt><dd>{text_of(value)}</dd></div>" for name, value in _facts(record))
    return f'<dl class="facts">{pairs}</dl>'


def _facts(record: Record) -> Iterator[tuple[str, object]]:
    for score in scores_of(record)[:4]:
        gain = f" ({score.last - score.bicubic:+.{2 if abs(score.last) >= 2 else 4}f})" if score.bicubic else ""
        yield f"{score.metric}, {score.set_name}", f"{shown(score.last)}{gain}"
    yield "network", f"{record.value('network_g.type', '?')}, {record.value('scale', '?')}x"
    yield "iterations", f"{record.iteration:,} of {record.total:,}"
    if record.seconds:
        yield "time", duration(record.seconds)
    batch, merged = record.value("datasets.train.batch_size_per_gpu"), record.value("datasets.train.accum_iter", 1)
    if isinstance(batch, int) and isinstance(merged, int):
        yield "crops seen, a rank", f"{record.iteration * batch * merged:,}"
    if device := record.last("run_started").get("environment", {}).get("device"):
        yield "device", device
    yield "decisions", len(record.decisions)


def images(record: Record) -> str:
    """Return example crops, and the validation images by score."""
    figures = "".join(examples(record))
    parts = []
    if figures:
        about = "Crops of the largest error. Move the slider. Error maps: black is none, yellow a quarter of the range."
        parts.append(f'<p class="quiet">{about}</p><div class="examples">{figures}</div>')
    parts += [folded(title, content) for title, content in _by_score(record)]
    if not parts:
        return '<h2>Images</h2><p class="quiet">A run that ends with a validation leaves images here.</p>'
    return f"<h2>Images</h2>{''.join(parts)}"


def _by_score(record: Record) -> Iterator[tuple[str, str]]:
    metrics = record.metrics
    if not metrics:
        return
    for name, scores in (record.last("image_scores").get("sets") or {}).items():
        rows = [_image_row(key, values, metrics) for key, values in scores.items()]
        rows.sort(key=lambda row: _number(row[1]), reverse=record.is_lower_better(metrics[0]))
        kept = rows if len(rows) <= 2 * MOST_IMAGES else [*rows[:MOST_IMAGES], *rows[-MOST_IMAGES:]]
        some = "" if len(kept) == len(rows) else f", the {MOST_IMAGES} worst and the {MOST_IMAGES} best"
        head = ["image", *(text for metric in metrics for text in (metric, "bicubic", "difference"))]
        yield f"Images of {name} by {metrics[0]} ({len(rows):,}{some})", table(head, kept)


def _image_row(key: str, values: Mapping[str, Any], metrics: list[str]) -> Row:
    row: list[object] = [key]
    for metric in metrics:
        score, bicubic = values.get(metric), values.get(f"{metric}_bicubic")
        row += [score, bicubic, score - bicubic if None not in (score, bicubic) else None]  # pyright: ignore
    return row


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else -math.inf


def decisions(record: Record) -> str:
    """Return every decision with its reason, and how many each automation took."""
    if not record.decisions:
        return "<h2>Decisions</h2><p>No automation decided anything.</p>"
    counts = Counter(str(one.get("automation")) for one in record.decisions)
    said = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    rows = [(one.get("iter"), one.get("automation"), change_of(one), one.get("reason")) for one in record.decisions]
    listed = table(["iteration", "automation", "change", "reason"], rows)
    return f"<h2>Decisions</h2><p>{text_of(said)}</p>{folded('All decisions with their reasons', listed)}"


def options(record: Record) -> str:
    """Return the options: first those that differ from the defaults, then all others."""
    if not record.options:
        return "<h2>Options</h2><p>resolved.yml is not there.</p>"
    rows = [(key, one.written, one.source, one.is_default) for key, one in record.options.items()]
    chosen = table(["option", "value", "from"], [row[:3] for row in rows if not row[3]])
    others = table(["option", "value"], [row[:2] for row in rows if row[3]])
    return f"<h2>Options</h2>{chosen}{folded('Defaults', others)}"


def training_images(record: Record) -> str:
    """Return what the examination of the training images found."""
    found = record.last("suspect_images")
    if not found:
        return ""
    listed = found.get("images") or []
    said = f"{found.get('examined', 0):,} training pairs that the network explains worst were examined"
    if not listed:
        return f"<h2>Training images</h2><p>{text_of(said)}; none of them hurts.</p>"
    rows = [(one.get("kind"), one.get("severity"), one.get("gt"), one.get("lq")) for one in listed]
    shown_rows = table(["problem", "severity", "ground truth", "LQ"], rows)
    return f"<h2>Training images</h2><p>{text_of(said)}; {len(listed):,} hurt:</p>{shown_rows}"


def environment(record: Record) -> str:
    """Return where, when and with what the run was made, every start of it, and its warnings."""
    starts = record.of("run_started")
    known = starts[-1].get("environment") if starts else None
    rows: list[Row] = list((known or {}).items()) if isinstance(known, dict) else []
    rows += [
        (f"start {place}, from iteration {one['iter']:,}", one.get("command")) for place, one in enumerate(starts, 1)
    ]
    parts = ["<h2>Environment</h2>", table(["what", "value"], rows)]
    if warned := list(_warnings(record)):
        parts.append(folded(f"Warnings ({len(warned):,})", table(["time", "warning"], warned)))
    return "".join(parts)


def _warnings(record: Record) -> Iterator[Row]:
    for file in sorted((record.folder / "log").glob("train_*.log")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            when, mark, said = line.partition(" Warning: ")
            if mark and len(when) == len("2026-11-29 13:00:00"):
                yield when, said
