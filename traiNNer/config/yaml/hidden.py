"""Characters of an option file that the eye takes for others, named with their line and column.

Copied text brings spaces that are none to YAML, characters without a width, quotes and minus signs of a word processor,
and Windows paths whose backslashes start an escape in double quotes. In quotes a strange space may be meant.
"""

import re
import unicodedata
from typing import NamedTuple

from traiNNer.config.yaml.scalars import plain_scalar

NAMES = {
    "\t": "tab",
    "\u00a0": "no-break space",
    "\u200b": "zero-width space",
    "\u2060": "word joiner",
    "\ufeff": "byte-order mark",
    "\u00ad": "soft hyphen",
    "\u200e": "left-to-right mark",
    "\u200f": "right-to-left mark",
    "\u2212": "minus sign of a word processor",
    "\u2013": "dash",
    "\u2014": "dash",
    "\uff1a": "full-width colon",
    "\uff0c": "full-width comma",
    "\u0085": "line break that editors do not show",
    "\u2028": "line break that editors do not show",
    "\u2029": "line break that editors do not show",
}
LINE_BREAKS = re.compile("\r\n|[\n\r\u0085\u2028\u2029]")
UNSEEN_BREAKS = re.compile("[\u0085\u2028\u2029]")
NO_WIDTH = "\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069"
STRANGE_SPACE = "\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
UNSEEN = re.compile(f"[{NO_WIDTH}]")
UNSEEN_OR_SPACE = re.compile(f"[{NO_WIDTH}{STRANGE_SPACE}]")
QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2032\u2033\uff02\uff07"
SIGNS = {"\u2212": "-", "\u2013": "-", "\u2014": "-"}
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# Where the parser gives up, any of these may be why.
SUSPECT = re.compile(f"[{NO_WIDTH}{STRANGE_SPACE[1:]}{QUOTES}{''.join(SIGNS)}\uff1a\uff0c]")
ESCAPE = re.compile(r"\\(.)")
LETTER = re.compile(r"\\x([A-F][0-9A-F])")
"""An escape that YAML writers make of a letter such as \u00e9, which is printable and not in ASCII."""
PAIRED = ("\\", '"', "/")
REMEDY = "use single quotes, or / in paths."
DRIVE = re.compile(r"[A-Za-z]:\\(?!\\)")


class Spot(NamedTuple):
    """A place in the text, from 1, and what is wrong there."""

    line: int
    column: int
    message: str


class Source:
    """The text of a file by lines, as the parser counts them."""

    def __init__(self, text: str) -> None:
        self.lines = LINE_BREAKS.split(text)

    def between(self, start: tuple[int, int], end: tuple[int, int]) -> list[str]:
        """Return the lines from one (line, column) to another, cut at both; all are counted from 0."""
        if start[0] == end[0]:
            return [line[start[1] : end[1]] for line in self.lines[start[0] : end[0] + 1]]
        lines = self.lines[start[0] : end[0] + 1]
        if lines and end[0] < len(self.lines):
            lines[-1] = lines[-1][: end[1]]
        if lines:
            lines[0] = lines[0][start[1] :]
        return lines

    def plain(self, start: tuple[int, int], end: tuple[int, int]) -> Spot | None:
        """Return what cannot be meant in a value or key without quotes."""
        lines = self.between(start, end)
        if (unseen := _search(UNSEEN_OR_SPACE, lines, start)) is not None:
            return unseen
        text = "".join(lines)
        if text and (text[0] in QUOTES or text[-1] in QUOTES):
            return _first(re.compile(f"[{QUOTES}]"), lines, start, "is no quote in YAML: write ' or \".")
        plain = "".join(SIGNS.get(character, character) for character in text)
        if plain != text and (text[0] in SIGNS or _is_number(plain)):
            return _first(re.compile(f"[{''.join(SIGNS)}]"), lines, start, "is not the - of the keyboard: write -.")
        return None

    def quoted(self, start: tuple[int, int], end: tuple[int, int], is_double: bool) -> Spot | None:
        """Return what cannot be meant in quotes: characters without a width, and in double quotes most escapes."""
        lines = self.between(start, end)
        if (unseen := _search(UNSEEN, lines, start)) is not None:
            return unseen
        return _escape(lines, start) if is_double else None

    def suspect(self, first: int, last: int) -> Spot | None:
        """Return the first strange character outside of comments in the lines `first` to `last`, counted from 0."""
        first = max(0, first)
        return _search(SUSPECT, [_bare(line) for line in self.lines[first : last + 1]], (first, 0))


def unseen_break(text: str) -> Spot | None:
    """Return the first line break that an editor does not show as one: what follows it is another line to YAML."""
    found = UNSEEN_BREAKS.search(text)
    if found is None:
        return None
    before = LINE_BREAKS.split(text[: found.start()])
    return Spot(
        len(before), len(before[-1]) + 1, f"{described(found.group())} in column {len(before[-1]) + 1}; remove it."
    )


def described(character: str) -> str:
    """Return a character as `U+200B (zero-width space)`."""
    name = NAMES.get(character) or unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X}{f' ({name})' if name else ''}"


def _bare(line: str) -> str:
    """Return a line without its comment, with blanks for what stands in quotes."""
    line = QUOTED.sub(lambda found: " " * len(found.group()), line)
    return "" if line.lstrip().startswith("#") else line.split(" #")[0]


def _search(pattern: re.Pattern[str], lines: list[str], start: tuple[int, int]) -> Spot | None:
    found = next((found for line in lines if (found := pattern.search(line))), None)
    if found is None:
        return None
    character = found.group()
    if character == "\t":
        remedy = "use spaces, or quotes around the text"
    elif re.match(f"[{STRANGE_SPACE}]", character):
        remedy = "write an ordinary space, or quotes around the text"
    elif character in QUOTES:
        remedy = "write ' or \""
    elif character in SIGNS:
        remedy = "write -"
    else:
        remedy = "write : or ," if character in "\uff1a\uff0c" else "remove it"
    return _first(pattern, lines, start, f"is not what it looks like: {remedy}.")


def _first(pattern: re.Pattern[str], lines: list[str], start: tuple[int, int], message: str) -> Spot:
    for index, line in enumerate(lines):
        if (found := pattern.search(line)) is not None:
            column = found.start() + 1 + (start[1] if index == 0 else 0)
            return Spot(start[0] + index + 1, column, f"{described(found.group())} in column {column} {message}")
    raise AssertionError("the character was found before")


def _escape(lines: list[str], start: tuple[int, int]) -> Spot | None:
    """Return the first escape that hardly anybody means: what it forms is no part of a name or path."""
    is_path = bool(DRIVE.search("".join(lines)))
    for index, line in enumerate(lines):
        for found in ESCAPE.finditer(line):
            letter = found.group(1)
            starts_line = index > 0 and not line[: found.start()].strip()
            if letter in PAIRED or (letter == " " and starts_line) or (letter in "uU" and not is_path):
                continue
            if LETTER.match(line, found.start()) and not is_path:
                continue
            column = found.start() + 1 + (start[1] if index == 0 else 0)
            message = f"\\{letter} in column {column}: a backslash in double quotes starts an escape, and this one "
            message += f"forms another character; {REMEDY}"
            return Spot(start[0] + index + 1, column, message)
    return None


def _is_number(text: str) -> bool:
    try:
        return isinstance(plain_scalar(text), int | float)
    except ValueError:
        return False
