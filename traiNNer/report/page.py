"""The page of a run: one HTML file with everything in it."""

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path

from traiNNer.errors import CannotWrite, ConfigError
from traiNNer.report.figures import MARKS_AXIS, Figure, figures_of
from traiNNer.report.record import Record, read_record
from traiNNer.report.sections import decisions, environment, facts, images, options, training_images
from traiNNer.report.style import POLICY, SCRIPT, STYLE
from traiNNer.report.verdict import verdict
from traiNNer.utils.files import write_bytes_atomic
from traiNNer.utils.printable import printable

FILE = "report.html"
SECTIONS: Sequence[Callable[[Record], str]] = (images, decisions, options, training_images, environment)


def write_report(folder: Path, ended: str | None = None) -> Path:
    """Write the report of the run in `folder` there; returns the file.

    Args:
        folder: of the run.
        ended: how the run ended, while its record does not say so yet.

    Raises:
        ConfigError: the record cannot be read, or plotly is not installed.
        CannotWrite: the file cannot be written.
    """
    text = page(read_record(folder), ended)
    file = folder / FILE
    try:
        write_bytes_atomic(file, text.encode("utf-8", "replace"))
    except OSError as error:
        raise CannotWrite(f"Cannot write {file} ({(error.strerror or str(error)).lower()}).") from None
    return file


def page(record: Record, ended: str | None = None) -> str:
    """Return the page; it loads nothing from elsewhere, and names in it are escaped."""
    found = verdict(record, ended)
    top = f'<p class="verdict {found.tone}">{escape(printable(found.text))}</p>{facts(record)}'
    return document(record.name, top, figures_of(record), [section(record) for section in SECTIONS])


def document(title: str, top: str, figures: Sequence[Figure], sections: Sequence[str]) -> str:
    """Return a complete HTML file.

    Args:
        title: as plain text.
        top: HTML between the title and the curves.
        figures: the curves.
        sections: HTML below the curves.
    """
    shown, plotted = escape(printable(title)), _inline(json.dumps([one.plain() for one in figures]))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<link rel="icon" href="data:,">',
            f"<title>{shown}</title><style>{STYLE}</style></head><body>",
            f"<h1>{shown}</h1>{top}",
            "<h2>Curves</h2>" if figures else "<h2>Curves</h2><p>Nothing was logged.</p>",
            _marks(figures),
            f'<div class="figures">{"".join(_figures(figures))}</div>',
            *sections,
            f'<script type="application/json" id="figures">{plotted}</script>',
            f"<script>{library()}</script><script>{SCRIPT}</script>",
            "</body></html>\n",
        ]
    )


def _figures(figures: Sequence[Figure]) -> Iterator[str]:
    for place, one in enumerate(figures):
        yield (
            f'<section class="card"><h3>{escape(one.title)}</h3><p class="quiet">{escape(one.about)}</p>'
            f'<div class="plot" id="figure{place}"></div></section>'
        )


def _marks(figures: Sequence[Figure]) -> str:
    """Return which color below a curve is which automation."""
    traces = [trace for trace in figures[0].traces if trace.get("yaxis") == MARKS_AXIS] if figures else []
    names = [f'<i style="color:{one["marker"]["color"]}">◆</i> {escape(printable(one["name"]))}' for one in traces]
    return f'<p class="quiet">Decisions below the curves, reasons at a touch: {" ".join(names)}</p>' if names else ""


def _inline(text: str) -> str:
    r"""Return JSON that cannot end the element that it stands in: `</script>` is written `\u003c/script>`."""
    return text.replace("<", "\\u003c")


@cache
def library() -> str:
    """Return plotly's script. The package is not imported: only its file is read. Raises `ConfigError`."""
    spec = importlib.util.find_spec("plotly")
    for place in (spec.submodule_search_locations if spec else None) or ():
        file = Path(place) / "package_data" / "plotly.min.js"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise ConfigError("The report needs plotly, which is not installed: pip install plotly")
