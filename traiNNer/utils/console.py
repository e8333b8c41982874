"""The console of every command: shows texts as they are, and nothing in them commands the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from traiNNer.utils.printable import printable


class PlainConsole(Console):
    """rich without markup, emoji and highlighting: `[red]` and `:x:` may be part of a file's name.

    Args:
        options: of rich's `Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with control characters as escapes, before anything measures how wide it is."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of what is shown; what is still in a `Text` that was made elsewhere is escaped here."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)
