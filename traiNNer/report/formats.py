"""Tables as Markdown and LaTeX, and for a screen."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from traiNNer.utils.printable import printable_name
from traiNNer.utils.rows import entries

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


@dataclass(frozen=True)
class Sheet:
    """A table with a title; what is meant by its numbers is said in `note`."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def markdown(sheets: Sequence[Sheet]) -> str:
    """Return tables as Markdown, with a heading each; columns are aligned for those who read it as it is."""
    return "\n".join(_markdown(sheet) for sheet in sheets)


def _markdown(sheet: Sheet) -> str:
    cells = [[printable_name(cell).replace("|", r"\|") for cell in row] for row in (sheet.head, *sheet.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if not sheet.rows:
        return f"## {sheet.title}\n\n{sheet.note}\n"
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    note = [sheet.note, ""] if sheet.note else []
    return "\n".join([f"## {sheet.title}", "", *note, lines[0], rule, *lines[1:], ""])


def fitted(sheets: Sequence[Sheet], width: int | None) -> str:
    """Return tables for a screen: as Markdown, but those that are wider as a list with the titles beside the numbers.

    Args:
        sheets: the tables.
        width: columns of the screen; None where there is none, which leaves all as Markdown.
    """
    return "\n".join(_markdown(sheet) if _fits(sheet, width) else _listed(sheet, width or 0) for sheet in sheets)


def _fits(sheet: Sheet, width: int | None) -> bool:
    rows = [line for line in _markdown(sheet).splitlines() if line.startswith("|")]
    return width is None or max(map(len, rows), default=0) <= width


def _listed(sheet: Sheet, width: int) -> str:
    head, *rows = [[printable_name(cell) for cell in row] for row in (sheet.head, *sheet.rows)]
    note = [textwrap.fill(sheet.note, width), ""] if sheet.note else []
    return "\n".join([f"## {sheet.title}", "", *note, *(entries(head, row, width) for row in rows), ""])


def latex(sheets: Sequence[Sheet]) -> str:
    """Return tables as LaTeX, to be put into a document that uses the package booktabs."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_latex(sheet) for sheet in sheets)


def _latex(sheet: Sheet) -> str:
    if not sheet.rows:
        return f"% {printable_name(sheet.title)}: {printable_name(sheet.note)}\n"
    head, *rows = [" & ".join(escaped(cell) for cell in row) + r" \\" for row in (sheet.head, *sheet.rows)]
    note = f" {escaped(sheet.note)}" if sheet.note else ""
    return "\n".join(
        [
            r"\begin{table}",
            f"\\caption{{{escaped(sheet.title)}.{note}}}",
            f"\\begin{{tabular}}{{{'l' * len(sheet.head)}}}",
            *(r"\toprule", head, r"\midrule", *rows, r"\bottomrule"),
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Return a text in which LaTeX reads no command."""
    return "".join(LATEX.get(character, character) for character in printable_name(text))
