"""The curves of a run as plain data, in the form that plotly draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from traiNNer.report.decisions import Decision, change_of
from traiNNer.report.record import Curve, Record

MOST_POINTS = 2000
"""Points drawn of one curve; of a longer one, means over neighbors."""
WIDE = 20.0
"""A curve whose largest value is so many times its smallest one is drawn on a logarithmic axis."""
MARKS, MARKS_AXIS = "yaxis9", "y9"
COLORS = ("#b8860b", "#8e44ad", "#16836f", "#c0504d", "#4a6fa5", "#7f7f7f")
Trace = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One drawing: a title, a sentence on how to read it, and what plotly gets."""

    title: str
    about: str
    traces: list[Trace]
    axis: dict[str, Any] = field(default_factory=dict)
    second: dict[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """Return what plotly draws."""
        layout: dict[str, Any] = {"yaxis": self.axis}
        rows = sum(trace.get("yaxis") == MARKS_AXIS for trace in self.traces)
        if rows:
            layout[MARKS] = {"domain": [0, 0.12], "range": [rows - 0.5, -0.5], "visible": False, "fixedrange": True}
        if self.second:
            layout["yaxis2"] = {"overlaying": "y", "side": "right", "showgrid": False, **self.second}
        return {"data": self.traces, "layout": layout}


def figures_of(record: Record) -> list[Figure]:
    """Return every figure that the record has numbers for."""
    marks = decision_marks(record.decisions)
    drawn = [*_losses(record), *_scores(record), *_rate(record), *_norms(record), *_pace(record)]
    return [Figure(one.title, one.about, [*one.traces, *marks], one.axis, one.second) for one in drawn]


def thinned(curve: Curve) -> Curve:
    """Return a curve of at most `MOST_POINTS` points: means over equal numbers of neighbors, the last one kept."""
    step = -(-len(curve) // MOST_POINTS)
    if step <= 1:
        return curve
    parts = [curve[at : at + step] for at in range(0, len(curve) - 1, step)]
    means = [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
    return [*(point for point in means if point[0] < curve[-1][0]), curve[-1]]


def line(curve: Curve, name: str, **style: Any) -> Trace:
    """Return a curve as a line."""
    points = thinned(curve)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(points) < 3 else "lines",
        "name": name,
        "x": [at for at, _ in points],
        "y": [float(f"{value:.6g}") for _, value in points],
        **style,
    }


def decision_marks(decisions: Sequence[Decision]) -> list[Trace]:
    """Return a mark with its reason for every decision, a row for each automation, in a strip below a figure."""
    names = sorted({str(one.get("automation")) for one in decisions})
    return [_marks_of(name, row, decisions) for row, name in enumerate(names)]


def _marks_of(name: str, row: int, decisions: Sequence[Decision]) -> Trace:
    own = [one for one in decisions if str(one.get("automation")) == name]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": False,
        "x": [one.get("iter") for one in own],
        "y": [row] * len(own),
        "yaxis": MARKS_AXIS,
        "text": [_hover(one) for one in own],
        "hovertemplate": "%{x:,}: %{text}<extra></extra>",
        "marker": {"symbol": "diamond", "size": 7, "color": COLORS[row % len(COLORS)], "opacity": 0.8},
    }


def _hover(decision: Decision) -> str:
    texts = [f"{decision.get('automation')}: {change_of(decision)}", *wrapped(str(decision.get("reason")))]
    # A name must not become one of the tags that plotly knows.
    return "<br>".join(text.replace("&", "&amp;").replace("<", "&lt;") for text in texts)


def wrapped(text: str, width: int = 44) -> list[str]:
    """Return a text as lines for a narrow screen."""
    lines = [""]
    for word in text.split():
        lines = [*lines, word] if len(lines[-1]) + len(word) >= width else [*lines[:-1], f"{lines[-1]} {word}".strip()]
    return lines


def axis_of(title: str, curves: Sequence[Curve]) -> dict[str, Any]:
    """Return an axis for curves; a logarithmic one where they span a wide range."""
    values = [value for curve in curves for _, value in curve]
    is_wide = bool(values) and min(values) > 0 and max(values) > WIDE * min(values)
    return {"title": {"text": title}, **({"type": "log"} if is_wide else {})}


def _losses(record: Record) -> Iterator[Figure]:
    keys = [key for key in record.keys("train") if key.startswith("loss/")]
    curves = {key: record.curve("train", key) for key in keys}
    if any(curves.values()):
        traces = [line(curve, key.removeprefix("loss/")) for key, curve in curves.items()]
        yield Figure("Losses", "Means between two log lines.", traces, axis_of("loss", list(curves.values())))


def _scores(record: Record) -> Iterator[Figure]:
    for metric in record.metrics:
        traces, curves = [], []
        for name in record.sets:
            key = f"val/{name}/{metric}"
            curve, bicubic = record.curve("validation", key), record.curve("validation", f"{key}_bicubic")
            curves.append(curve)
            traces.append(line(curve, name))
            if bicubic:
                traces.append(line(bicubic, f"{name}, bicubic", line={"dash": "dot"}, opacity=0.8))
        about = "Of whole validation images; dotted: bicubic upscaling of the same images."
        if metric == "psnr" and (expected := _expected_end(record)):
            traces += expected
            about += " The point with the bar is the end as it was predicted last, with its 90 % interval."
        if any(curves):
            yield Figure(metric, about, traces, {"title": {"text": metric}})


def _expected_end(record: Record) -> list[Trace]:
    predictions = {part: record.curve("prediction", f"predicted/psnr{part}") for part in ("", "_low", "_high")}
    if not all(predictions.values()):
        return []
    value, low, high = (curve[-1][1] for curve in predictions.values())
    path = line(predictions[""], "predicted end, over time", line={"dash": "dash", "width": 1}, opacity=0.6)
    spread = {"type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low]}
    end = {"type": "scatter", "mode": "markers", "name": "predicted end", "x": [record.total], "y": [value]}
    return [path, end | {"error_y": spread, "marker": {"symbol": "diamond", "size": 9}}]


def _rate(record: Record) -> Iterator[Figure]:
    keys = [key for key in record.keys("train") if key == "lr" or key.endswith("/lr")]
    curves = [record.curve("train", key) for key in keys]
    if any(curves):
        axis = {"title": {"text": "rate"}, "rangemode": "tozero", "exponentformat": "e"}
        yield Figure("Learning rate", "As it was used.", [*map(line, curves, keys)], axis)


def _norms(record: Record) -> Iterator[Figure]:
    keys = [key for key in record.keys("train") if key.rsplit("/", 1)[-1] == "grad_norm"]
    curves = [record.curve("train", key) for key in keys]
    if not any(curves):
        return
    traces = [*map(line, curves, keys)]
    limit = limit_of(record)
    if limit:
        traces.append(line(limit, "limit", line={"dash": "dash", "shape": "hv"}) | {"mode": "lines"})
    about = "Of the whole network before it is limited, mean between two log lines."
    yield Figure("Gradient norm", about, traces, axis_of("norm", [*curves, limit]))


def limit_of(record: Record) -> Curve:
    """Return the limit of the gradient norm as steps over the run; nothing where there is none."""
    moves = [one for one in record.decisions if one.get("knob") == "grad_clip" and not one.get("shadow")]
    steps = [(int(one["iter"]), float(one["new"])) for one in moves if isinstance(one.get("new"), int | float)]
    first = next((one.get("old") for one in moves), None)
    if first is None and record.value("train.grad_clip"):
        first = record.value("train.grad_clip_max_norm")
    begin = [(1, float(first))] if isinstance(first, int | float) else []
    curve = [*begin, *steps]
    return [*curve, (record.iteration, curve[-1][1])] if curve else []


def _pace(record: Record) -> Iterator[Figure]:
    speed, wait = record.curve("train", "it_per_s"), record.curve("train", "data_wait")
    if not speed:
        return
    traces = [line(speed, "iterations per second")]
    if wait:
        shares = [(at, 100 * value) for at, value in wait]
        traces.append(line(shares, "waiting for data, %", yaxis="y2", line={"dash": "dot"}))
    second = {"title": {"text": "waiting, %"}, "range": [0, 100], "tickmode": "auto", "nticks": 5}
    yield Figure("Pace", "Training only; validation and saving are left out.", traces, axis_of("it/s", []), second)
