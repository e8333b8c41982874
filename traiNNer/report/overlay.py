"""The curves of several runs over each other, as a page."""

from collections.abc import Iterator, Sequence

from traiNNer.report.compare import Group
from traiNNer.report.figures import Figure, axis_of, line
from traiNNer.report.formats import Sheet
from traiNNer.report.page import document
from traiNNer.report.record import Curve
from traiNNer.report.table import table, text_of

COLORS = ("#2757b8", "#d1711f", "#2a8c4a", "#b8336a", "#7b52ab", "#8a6d3b", "#3a8fa3", "#707070")
PACE = {"lr": "Learning rate", "grad_norm": "Gradient norm", "it_per_s": "Iterations per second"}


def comparison_page(groups: Sequence[Group], sheets: Sequence[Sheet]) -> str:
    """Return one HTML file with the tables of a comparison and the curves over each other."""
    title = "Comparison of " + ", ".join(group.label for group in groups)
    return document(title, "", list(_figures(groups)), [_section(sheet) for sheet in sheets])


def _section(sheet: Sheet) -> str:
    note = f'<p class="quiet">{text_of(sheet.note)}</p>' if sheet.note else ""
    return f"<h2>{text_of(sheet.title)}</h2>{note}{table(sheet.head, sheet.rows) if sheet.rows else ''}"


def _figures(groups: Sequence[Group]) -> Iterator[Figure]:
    runs = [run for group in groups for run in group.runs]
    losses = dict.fromkeys(key for run in runs for key in run.keys("train") if key.startswith("loss/"))
    scores = dict.fromkeys(f"val/{name}/{metric}" for run in runs for name in run.sets for metric in run.metrics)
    for key in scores:
        yield from _figure(groups, "validation", key, key.removeprefix("val/"), with_bicubic=True)
    for key in losses:
        yield from _figure(groups, "train", key, f"Loss {key.removeprefix('loss/')}")
    for key, title in PACE.items():
        yield from _figure(groups, "train", key, title)


def _figure(groups: Sequence[Group], kind: str, key: str, title: str, with_bicubic: bool = False) -> Iterator[Figure]:
    """Yield a figure of one number; runs that differ in their seed only have one color and one name."""
    traces, curves = [], []
    for place, group in enumerate(groups):
        color = COLORS[place % len(COLORS)]
        for number, run in enumerate(group.runs):
            curve = run.curve(kind, key)
            curves.append(curve)
            style = {"color": color, "width": 2 if len(group.runs) == 1 else 1}
            shared = {"legendgroup": group.label, "showlegend": number == 0}
            traces += [line(curve, text_of(group.label), line=style, **shared)] if curve else []
    bicubic: Curve = groups[0].runs[0].curve(kind, f"{key}_bicubic") if with_bicubic else []
    if bicubic:
        traces.append(line(bicubic, "bicubic", line={"dash": "dot", "color": "#888"}))
    if len(traces) > bool(bicubic):
        yield Figure(title, "", traces, axis_of(title, curves))
