"""Characters that are not what they look like are named with line and column; those that may be meant are left."""

import pytest
import yaml

from traiNNer.config.yaml import strict
from traiNNer.config.yaml.hidden import Source, described
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError

NO_BREAK = "U+00A0 (no-break space)"
STARTS = "a backslash in double quotes starts an escape"
ODD = {
    "zero-width space in a key": ("a: 1\nl\u200br: 2", 2, "U+200B (zero-width space) in column 2", "remove it"),
    "zero-width space in quotes": ("p: 'x\u200b'", 1, "U+200B (zero-width space) in column 6", "remove it"),
    "mark of a copied path": ("p: '\u202aC:/x'", 1, "U+202A (left-to-right embedding) in column 5", "remove it"),
    "byte-order mark inside": ("a: 1\nb: \ufeff2", 2, "U+FEFF (byte-order mark) in column 4", "remove it"),
    "byte-order mark before a key": ("a: 1\n\ufeffb: 2", 2, "U+FEFF (byte-order mark) in column 1", "remove it"),
    "no-break space in a key": ("a\u00a0: 1", 1, f"{NO_BREAK} in column 2 is not what it looks like", "ordinary space"),
    "no-break space for indentation": ("a:\n\u00a0 b: 1", 2, "U+00A0 (no-break space) in column 1", "ordinary space"),
    "no-break space behind a colon": ("a:\u00a01\nb: 2", 1, "U+00A0 (no-break space) in column 3", "ordinary space"),
    "full-width colon": ("a: 1\nlr\uff1a1\nb: 2", 2, "U+FF1A (full-width colon) in column 3", "write : or ,"),
    "full-width space": ("a:\n  x: 1\u3000", 2, "U+3000 (ideographic space) in column 7", "an ordinary space"),
    "curly quotes": ("a: \u201cx\u201d", 1, "U+201C (left double quotation mark) in column 4", "no quote in YAML"),
    "curly quote at the end": ("a: x\u2019", 1, "U+2019 (right single quotation mark) in column 5", "no quote in YAML"),
    "minus of a word processor": ("a: 1e\u22124", 1, "U+2212 (minus sign of a word processor) in column 6", "write -"),
    "dash for a list item": ("a:\n  \u2013 b", 2, "U+2013 (dash) in column 3", "write -"),
    "line break that nobody sees": ("a: 1 # x\u2028b: 2", 1, "U+2028 (line break that editors do not show)", "remove"),
    "escape of Windows": ('p: "D:\\New"', 1, f"\\N in column 7: {STARTS}", "use single quotes, or / in paths."),
    "escape without a drive": ('a: 1\np: "data\\Library"', 2, "\\L in column 9: a backslash", "use single quotes"),
    "hexadecimal escape": ('p: "D:\\x41b"', 1, "\\x in column 7: a backslash", "use single quotes"),
    "unicode escape behind a drive": ('p: "D:\\u2022b"', 1, "\\u in column 7: a backslash", "use single quotes"),
    "tab escape": ('p: "a\\temp"', 1, "\\t in column 6: a backslash", "use single quotes"),
    "escape in a second line": ('p: "a\n  b\\next"', 2, "\\n in column 4: a backslash", "use single quotes"),
}


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request, monkeypatch):
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(strict, "Loader", getattr(yaml, request.param))


@pytest.mark.parametrize(("text", "line", "words", "remedy"), ODD.values(), ids=ODD)
def test_character_is_named_with_its_place(text, line, words, remedy):
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, "f.yml")
    assert [problem.line for problem in caught.value.problems] == [line]
    assert words in caught.value.problems[0].message
    assert remedy in caught.value.problems[0].message


MEANT = {
    "a: 'x\u00a0y'": "x\u00a0y",
    "a: don\u2019t": "don\u2019t",
    "a: caf\u00e9 \u2013 b": "caf\u00e9 \u2013 b",
    "# \u200b \u00a0 \u201c\na: 1": 1,
    'a: "\\u00e9\\\\\\"\\/"': 'é\\"/',
    'a: "More \\xE9 \\u732B"': "More \u00e9 \u732b",
    'a: "x\\\n  \\ y"': "x y",
    "a: \U0001f468\u200d\U0001f469": "\U0001f468\u200d\U0001f469",
    "a: '\u06cc\u200c\u06a9'": "\u06cc\u200c\u06a9",
}


@pytest.mark.parametrize(("text", "value"), MEANT.items())
def test_character_that_may_be_meant_is_left(text, value):
    assert load_yaml(text, "f.yml").tree == {"a": value}


def test_parser_error_elsewhere_is_not_blamed_on_a_character_in_quotes():
    with pytest.raises(ConfigError, match="a ':' where no key can stand"):
        load_yaml("x: 'a\u00a0b'  # \u200b\na: b: c", "f.yml")


def test_tab_in_a_value_is_named_with_its_column():
    with pytest.raises(ConfigError, match=r"tab\)? in column 5"):
        load_yaml("a: b\tc", "f.yml")


def test_text_between_two_places():
    source = Source("abc\ndef\r\nghi")
    assert source.between((0, 1), (0, 2)) == ["b"]
    assert source.between((0, 1), (2, 1)) == ["bc", "def", "g"]
    assert described("\u00e9") == "U+00E9 (latin small letter e with acute)"
