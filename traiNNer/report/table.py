"""Tables of the report's page."""

from collections.abc import Sequence
from html import escape

from traiNNer.utils.printable import printable

Row = Sequence[object]


def text_of(value: object) -> str:
    """Return a value as HTML text; a character that has no picture is shown as an escape."""
    return escape(printable(f"{value:.4g}" if isinstance(value, float) else "" if value is None else value))


def table(head: Sequence[str], rows: Sequence[Row]) -> str:
    """Return rows as a table that scrolls by itself; a column of numbers stands on the right."""
    is_number = [
        bool(rows) and all(isinstance(row[place], int | float) and not isinstance(row[place], bool) for row in rows)
        for place in range(len(head))
    ]
    kinds = [' class="number"' if number else "" for number in is_number]
    heads = "".join(f"<th{kind}>{text_of(title)}</th>" for kind, title in zip(kinds, head, strict=True))
    body = "".join(
        f"<tr>{''.join(_cell(value, kind) for value, kind in zip(row, kinds, strict=True))}</tr>" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: object, kind: str) -> str:
    shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else text_of(value)
    wide = ' class="wide"' if not kind and len(shown) > 40 else kind
    return f"<td{wide}>{shown}</td>"


def folded(title: str, content: str) -> str:
    """Return content that is shown after a tap on its title."""
    return f"<details><summary>{text_of(title)}</summary>{content}</details>"
