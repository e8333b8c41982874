"""Tables on a screen of any width: they fold between words, and where they do not fit a row becomes entries."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = "   "
INDENT = "  "


def terminal_width() -> int | None:
    """Return the columns of the terminal that standard output is; None for a file or a pipe, which have no width."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def entries(head: Sequence[str], row: Sequence[str], width: int) -> str:
    """Return a row as its first cell with `title: text` entries below it, folded between entries, else words.

    Args:
        head: titles of the columns.
        row: their texts; an empty one is left out.
        width: columns of the screen.
    """
    lines = [""]
    for title, text in zip(head[1:], row[1:], strict=True):
        if text:
            entry = f"{title}: {' '.join(text.split())}" if title else text
            joined = f"{lines[-1]}{GAP}{entry}" if lines[-1] else entry
            if cell_len(INDENT + joined) <= width:
                lines[-1] = joined
            else:
                lines.append(entry)
    fold = textwrap.TextWrapper(
        width, initial_indent=INDENT, subsequent_indent=3 * INDENT, break_long_words=False, break_on_hyphens=False
    )
    folded = [fold.fill(line) if cell_len(INDENT + line) > width else INDENT + line for line in lines if line]
    return "\n".join([*filter(None, row[:1]), *folded])


class FoldingTable(Table):
    """rich's table that folds between words only; where the screen is too narrow for that, its rows are entries."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table, or its rows as entries."""
        columns = [[str(column.header), *map(_text, column.cells)] for column in self.columns]
        whole = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in columns]
        least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in columns]
        # What else is there: lines, and the space around cells.
        around = self.__rich_measure__(console, options.update(width=sum(whole) + 100)).maximum - sum(whole)
        spare = options.max_width - around - sum(least)
        if spare >= 0:
            for column, width in zip(self.columns, _shared(least, whole, spare), strict=True):
                column.width = width
            yield from super().__rich_console__(console, options)
            return
        head, *rows = zip(*columns, strict=True)
        for row in rows:
            yield Text(entries(head, row, options.max_width))


def _shared(least: Sequence[int], whole: Sequence[int], spare: int) -> list[int]:
    """Return widths between the two: the spare columns of the screen go where most is lacking."""
    lacking = [most - few for few, most in zip(least, whole, strict=True)]
    if sum(lacking) <= spare:
        return list(whole)
    return [few + spare * lack // sum(lacking) for few, lack in zip(least, lacking, strict=True)]


def _text(cell: Any) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
