"""The YAML parser's complaints in the words of a user who edits an option file."""

import yaml

PHRASES = {
    "unknown escape": "a backslash in double quotes starts an escape; use single quotes, or / in paths.",
    "hexdecimal": "a backslash in double quotes starts an escape; use single quotes, or / in paths.",
    "expected escape": "a backslash in double quotes starts an escape; use single quotes, or / in paths.",
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
OPENED_BEFORE = ("unexpected end of stream", "unexpected document")


def explain(error: yaml.YAMLError, lines: list[str]) -> tuple[int | None, str]:
    """Return the line (from 1) and what is wrong there."""
    problem = str(getattr(error, "problem", None) or error)
    mark = getattr(error, "problem_mark", None)
    if any(phrase in problem for phrase in OPENED_BEFORE):
        mark = getattr(error, "context_mark", None) or mark
    if mark is None:
        return None, problem
    if "tag" in problem or "tag" in str(getattr(error, "context", None)):
        return mark.line + 1, "tags are not allowed."
    tabbed = _line_with_tab(mark.line, lines)
    if tabbed is not None:
        return tabbed + 1, "a tab in the indentation; use spaces."
    message = next((words for phrase, words in PHRASES.items() if phrase in problem), f"{problem}.")
    return mark.line + 1, message


def _line_with_tab(line: int, lines: list[str]) -> int | None:
    # The parser often notices a tab only at the line that follows.
    for candidate in (line, line - 1):
        if 0 <= candidate < len(lines):
            text = lines[candidate]
            if "\t" in text[: len(text) - len(text.lstrip())]:
                return candidate
    return None
