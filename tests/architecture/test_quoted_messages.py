"""Program output quoted in the documentation is still in the code, and a test asserts it: all but the values.

Quoted are the first column of the table of messages in docs/troubleshooting.md, and code blocks without a language that
follow a line `<!-- output -->`. Numbers, paths, names with dots or capitals
inside, abbreviations, quoted words, what follows a `=` and `…` count as values.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
VALUE = re.compile(r"= \S+|'[^']*'|\S*[…\d_/<>=][^\s,;()]*|\S+\.\w+|\b[A-Z][a-z]+[A-Z]\w*|\b[A-Z]+\b")
EDGE = re.compile(r"[.,;:()]+(?:\s|$)|\s\(|\s{2,}|->")


@cache
def said() -> str:
    """Return every string of the code, one per line, with `\\0` for what is filled in, and the names of components."""
    texts: list[str] = []
    for path in sorted((ROOT / "traiNNer").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings(tree):
                texts.append(node.value)
    return "\n".join(texts)


@cache
def docstrings(tree: ast.Module) -> set[int]:
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def phrases(quote: str) -> list[str]:
    """Return the constant parts of a message."""
    parts = [piece.strip(" .,;:()") for part in EDGE.split(VALUE.sub("\0", quote)) for piece in part.split("\0")]
    return [part for part in parts if re.search("[a-z]{2}", part)]


def quotes() -> list[str]:
    table = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").partition("| message |")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    spans = [span for row in rows for span in re.findall(r"`([^`]+)`", row)]
    blocks = [
        block for page in PAGES for block in re.findall(r"<!-- output -->\s*```\n(.*?)```", page.read_text(), re.S)
    ]
    return spans + [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def is_said(part: str) -> bool:
    """Whether a text of the code has these words; one of three or more may be filled in (`no such {kind}`)."""
    words = part.split(" ")
    forms = [part, *(" ".join([*words[:at], "\0", *words[at + 1 :]]) for at in range(len(words)) if len(words) > 2)]
    return any(re.search(rf"(?<!\w){re.escape(form)}(?!\w)", said()) for form in forms)


@cache
def asserted() -> str:
    """Return every string of the tests, regular expressions without their escapes."""
    texts: list[str] = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path != Path(__file__) else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value.replace("\\", ""))
    return "\n".join(texts)


@pytest.mark.parametrize("quote", [quote for quote in quotes() if phrases(quote)])
def test_every_quoted_message_is_asserted_by_a_test(quote):
    longest = max(phrases(quote), key=len)
    assert longest in asserted(), "no test produces this message"


@pytest.mark.parametrize("quote", quotes())
def test_quoted_messages_exist_in_the_code(quote):
    assert [part for part in phrases(quote) if not is_said(part)] == [], "no text of traiNNer says this any more"


def test_message_is_more_than_its_values():
    quote = "Iteration 812: loss is not finite (l1loss). Step skipped (1 of 10)"
    assert phrases(quote) == ["Iteration", "loss is not finite", "Step skipped", "of"]
    assert phrases("… has no state, did you mean 'ema_decay'?   known: l1loss, …") == [
        "has no state",
        "did you mean",
        "known",
    ]
    assert len([quote for quote in quotes() if phrases(quote)]) > 20
    assert is_said("no such loss")
    assert not is_said("no such thing as this")
