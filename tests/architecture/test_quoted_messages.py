"""Program output quoted in the documentation is still in the code, and a test asserts it: all but the values.

Quoted are the first column of the table of messages in docs/troubleshooting.md, code blocks of any page that follow a
line `<!-- output -->`, and code in a sentence that has three words or more and is neither a call nor a command. A block
without a language is output. Numbers, paths, names with dots or capitals inside, abbreviations, quoted words, what
follows a `=` and `…` count as values.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REPORT = ROOT / "docs/doctor.md"
"""The report of one machine: its lines exist, but no test has a machine like that."""
BLOCK = re.compile(r"(<!-- output -->\s*)?^```(\w*)\n(.*?)^```", re.S | re.M)
CODE = re.compile(r"\w\(|^(?:trainner|python|pip|git|docker|torchrun|tensorboard|--\w+) ")
WORD = re.compile(r"(?<![\w./-])[a-z]{2,}(?![\w./-])")
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


def quotes(without: Path | None = None) -> list[str]:
    """Return the messages of the table and every line of output, of all pages but one."""
    table = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").partition("| message |")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    spans = [span for row in rows for span in re.findall(r"`([^`]+)`", row)]
    blocks = [text for page in PAGES if page != without for text in outputs(page)]
    return spans + [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def outputs(page: Path) -> list[str]:
    return [text for marked, _, text in BLOCK.findall(page.read_text(encoding="utf-8")) if marked]


def inline_quotes() -> list[str]:
    """Return the code inside sentences that is a message; the reference quotes docstrings, not messages."""
    texts = [BLOCK.sub("", page.read_text(encoding="utf-8")) for page in PAGES if page.name != "options.md"]
    spans = [" ".join(span.split()) for text in texts for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    return [span for span in dict.fromkeys(spans) if len(WORD.findall(span)) >= 3 and not CODE.search(span)]


def is_said(part: str) -> bool:
    """Whether a text of the code has these words; one of three or more, or a plural's `s`, may be filled in."""
    words = part.split(" ")
    forms = [
        part,
        part.removesuffix("s"),
        re.sub("s$", "\0", part),
        *(" ".join([*words[:at], "\0", *words[at + 1 :]]) for at in range(len(words)) if len(words) > 2),
    ]
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


@pytest.mark.parametrize("quote", [quote for quote in quotes(REPORT) if phrases(quote)])
def test_every_quoted_message_is_asserted_by_a_test(quote):
    longest = max(phrases(quote), key=len)
    assert longest in asserted(), "no test produces this message"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_block_without_a_language_is_output(page):
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert [text.splitlines()[0] for marked, language, text in found if not marked and not language] == []


@pytest.mark.parametrize("quote", [*quotes(), *inline_quotes()])
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
    assert len(inline_quotes()) > 10
    assert is_said("no such loss")
    assert not is_said("no such thing as this")
