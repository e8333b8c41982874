"""The YAML parser's complaints in the words of a user who edits an option file."""

import yaml

from traiNNer.config.yaml.hidden import REMEDY, Source

PHRASES = {
    "unknown escape": f"a backslash in double quotes starts an escape; {REMEDY}",
    "hexdecimal": f"a backslash in double quotes starts an escape; {REMEDY}",
    "expected escape": f"a backslash in double quotes starts an escape; {REMEDY}",
    "mapping values are not allowed": "a ':' where no key can stand: check the indentation, or quote a text with ': '.",
    "unexpected end of stream": "a quote is opened here and never closed.",
    "unexpected document": "a quote is opened here and never closed.",
    "expected ',' or": "a bracket or brace is not closed, or a comma is missing.",
    "expected key": "the indentation does not fit the lines above, or a quote is not closed.",
    "expected <block end>": "the indentation does not fit the lines above, or a quote is not closed.",
    "expected '-'": "a list item must start with '- ' in the same column as the items above.",
    "expected ':'": "a key without ': ' behind it.",
    "cannot start any token": "a character that cannot start a value: put the text in quotes.",
    "undefined tag handle": "tags are not allowed.",
    "maximum nesting depth": "is nested deeper than 32 levels.",  # the parser's own limit, in newer versions
}
BEGUN_BEFORE = ("unexpected end of stream", "unexpected document", "expected ':'")
"""What the parser notices after the place where it began."""


def explain(error: yaml.YAMLError, written: Source) -> tuple[int | None, str]:
    """Return the line (from 1) and what is wrong there."""
    problem = str(getattr(error, "problem", None) or error)
    mark = getattr(error, "problem_mark", None)
    if any(phrase in problem for phrase in BEGUN_BEFORE):
        mark = getattr(error, "context_mark", None) or mark
    if mark is None:
        return None, problem
    if "tag" in problem or "tag" in str(getattr(error, "context", None)):
        return mark.line + 1, "tags are not allowed."
    tabbed = _tab(mark.line, written.lines)
    if tabbed is not None:
        return tabbed[0] + 1, f"a tab in the indentation (column {tabbed[1] + 1}); use spaces."
    if "'\\t' that cannot start" in problem:
        return mark.line + 1, f"a tab in column {mark.column + 1}; use spaces."
    # The parser often notices only at the line that follows.
    if (found := written.suspect(mark.line - 1, mark.line)) is not None:
        return found.line, found.message
    message = next((words for phrase, words in PHRASES.items() if phrase in problem), f"{problem}.")
    if REMEDY in message:
        column = written.lines[mark.line].rfind("\\", 0, mark.column + 1) + 1
        message = f"column {column}: {message}"
    return mark.line + 1, message


def _tab(line: int, lines: list[str]) -> tuple[int, int] | None:
    # The parser often notices a tab only at the line that follows.
    for candidate in (line, line - 1):
        if 0 <= candidate < len(lines):
            text = lines[candidate]
            if (column := text.find("\t", 0, len(text) - len(text.lstrip()))) >= 0:
                return candidate, column
    return None
