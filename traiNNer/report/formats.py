"""Tables as Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass

from traiNNer.utils.printable import printable_name

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
