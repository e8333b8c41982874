import json
import sys
import tracemalloc
from itertools import count

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from traiNNer.config.yaml import strict as strict_yaml
from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def both_parsers(request, monkeypatch):
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(strict_yaml, "Loader", getattr(yaml, request.param))


VALUES = {
    "1e-4": 1e-4, "2E3": 2000.0, ".5": 0.5, "-1.": -1.0, "+3": 3, "0": 0, "-0": 0, "0x1F": 31, "0o17": 15, "0.10": 0.1,
    "true": True, "False": False, "on": "on", "off": "off", "yes": "yes", "no": "no", "y": "y", "tRue": "tRue",
    "null": None, "~": None, "": None, "2024-01-01": "2024-01-01", "1_000": "1_000", "0001x2": "0001x2",
    ".nan": ".nan", ".inf": ".inf", "1e": "1e", "'012'": "012", '"on"': "on", "C:\\a\\b": "C:\\a\\b", "'1e-4'": "1e-4",
    '"C:\\\\new"': "C:\\new", "=": "=", "[1, on, ~]": [1, "on", None], "{a: no}": {"a": "no"},
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_values_follow_yaml_1_2(text, value, both_parsers):
    found = load_yaml(f"a: {text}", "f.yml").tree["a"]
    assert found == value
    assert type(found) is type(value)


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
TRAPS = {
    "key twice": ("a: 1\nb: 2\na: 3", 3, "written twice (lines 1 and 3)"),
    "key twice in a list item": ("a:\n- b: 1\n  c: 2\n  b: 3", 4, "written twice (lines 2 and 4)"),
    "key twice, flow": ("a: {b: 1, b: 1}", 1, "written twice"),
    "leading zero": ("a: 1\nb: 012", 2, 'Write 12, or "012" for a text'),
    "negative leading zero": ("a: -007", 1, "Write -7"),
    "clock": ("a: 1:30", 1, "ambiguous (base 60"),
    "clock in a list": ("a:\n- 12:30:45", 2, "ambiguous"),
    "huge number": ("a: 1e999", 1, "too large"),
    "endless digits": (f"a: {'9' * 5000}", 1, "digits"),
    "number as key": ("a: 1\n2: x", 2, 'write "2" in quotes'),
    "boolean as key": ("true: 1", 1, "a key must be text"),
    "null as key": ("~: 1", 1, "a key must be text"),
    "octal as key": ("012: 1", 1, "a key must be text"),
    "list as key": ("? [a]\n: 1", 1, "a key must be text"),
    "alias as key": ("a: &x b\n*x : 1", 2, "a key must be text"),
    "tab for indentation": ("a:\n\tb: 1", 2, "tab"),
    "tab after spaces": ("a:\n  b: 1\n \tc: 2", 3, "tab"),
    "tag python/object": ("a: 1\n\nb: !!python/object/apply:os.system [ls]", 3, "tag !!python/object/apply:os.system"),
    "tag python/name": ("a: !!python/name:os.system ", 1, "tag !!python/name:os.system is not allowed."),
    "tag python/module": ("a: !!python/module:os ''", 1, "tag !!python/module:os is not allowed."),
    "tag python/object/new": ("a: !!python/object/new:os.system {}", 1, "is not allowed."),
    "tag python/tuple": ("a: !!python/tuple [1]", 1, "tag !!python/tuple is not allowed."),
    "tag binary": ("a: !!binary aGk=", 1, "tag !!binary is not allowed."),
    "tag set": ("a: !!set {x}", 1, "tag !!set is not allowed."),
    "own tag": ("a: !include b.yml", 1, "tag !include is not allowed."),
    "tag by handle": ("%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!name:os.system x", 3, "tag !!python/name"),
    "tag on a key": ("!x a: 1", 1, "tag !x is not allowed."),
    "bare tag": ("a: ! 1", 1, "tag ! is not allowed."),
    "bomb": (BOMB, 6, "The config expands to more than 100,000 values (line 6)."),
    "recursive alias": ("a: &x\n  b: [*x]", 2, "*x refers to itself"),
    "unknown alias": ("a: *x", 1, "no &x above"),
    "deep flow": ("a: 1\nb: " + "[" * 20_000, 2, "deeper than 32 levels"),
    "deep block": ("- " * 20_000, 1, "deeper than 32 levels"),
    "deep by aliases": ("a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20, 2, "deeper than 32"),
    "merge of a scalar": ("a: 1\n<<: 2", 2, "needs a section"),
    "two documents": ("a: 1\n---\nb: 2", 2, "second document"),
    "backslash in double quotes": ('a: 1\np: "C:\\users"', 2, "use single quotes"),
    "backslash that is an escape": ('p: "D:\\new\\train"', 1, "use single quotes"),
    "open quote": ("a: 1\nb: 'x\nc: 2", 2, "never closed"),
    "open bracket": ("a: [1, 2\nb: 3", 2, "bracket"),
    "colon in a value": ("a: b: c", 1, "quote a text with ': '"),
    "no space after the colon": ("a:1\nb: 2", 2, "':'"),
    "bad indentation": ("a:\n  b: 1\n c: 2", 3, "indentation"),
    "at sign": ("a: @x", 1, "quotes"),
    "control character": ("a: 1\nb: \x00", 2, "U+0000"),
}


@pytest.mark.parametrize(("text", "line", "words"), TRAPS.values(), ids=TRAPS)
def test_yaml_traps_are_refused_with_their_line(text, line, words, both_parsers):
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, "f.yml")
    assert [p.line for p in caught.value.problems] == [line]
    assert words in caught.value.problems[0].message
    assert str(caught.value).startswith("f.yml: 1 problem")


def test_yaml_traps_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        load_yaml("a: 012\nb: 1:30\na: !x 1\n", "f.yml")
    assert [p.line for p in caught.value.problems] == [1, 2, 3, 3]


@pytest.mark.parametrize("text", [BOMB, "[" * 1_000_000, "- " * 500_000, "a: 1\n" * 150_000, "{a: " * 200_000])
def test_yaml_bombs_are_cheap_to_refuse(text):
    calls = count(1)
    tracemalloc.start()
    sys.setprofile(lambda *_: next(calls))
    try:
        with pytest.raises(ConfigError) as caught:
            load_yaml(text, "f.yml")
    finally:
        sys.setprofile(None)
        (_, peak) = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert next(calls) < 5_000_000
    assert peak < 100e6
    assert len(str(caught.value)) < 20_000


def test_yaml_size_and_value_limits():
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        load_yaml("#" * 1_048_577, "f.yml")
    assert len(load_yaml("".join(f"k{i}: v\n" for i in range(90_000)), "f.yml").tree) == 90_000


def test_anchors_and_merges(both_parsers):
    document = load_yaml("a: &a\n  x: 1\n  y: 2\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\nd: *a\n", "f.yml")
    assert document.tree["c"] == {"x": 9, "y": 2, "z": 4}
    assert document.tree["d"] == {"x": 1, "y": 2}
    assert document.line_of(("c", "y")) == 3
    assert document.line_of(("d",)) == 8


def test_lines_of_keys_items_and_what_is_missing(both_parsers):
    text = "\ufeffa: 1\nb:\n  c:\n    - d: 1\n\n    - d: 2  # here\n      e: [3,\n          4]\n"
    document = load_yaml(text, "f.yml")
    lines = {(): 1, ("a",): 1, ("b",): 2, ("b", "c", 1): 6, ("b", "c", 1, "e"): 7, ("b", "c", 1, "e", 1): 8}
    assert {path: document.line_of(path) for path in lines} == lines
    assert document.line_of(("b", "c", 1, "unknown", "x")) == 6
    assert document.line_of(("b", "c", 7)) == 3


def test_merged_copy_shares_no_values():
    tree = load_yaml("a: &a {x: [1]}\nb: *a\n", "f.yml").tree
    tree["a"]["x"].append(2)
    assert tree["b"] == {"x": [1]}


letters = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | letters
finite = scalars.filter(lambda value: value not in (float("inf"), float("-inf")))
trees = st.recursive(finite, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3))


@given(trees)
def test_json_reads_as_itself(tree):
    assert load_yaml(json.dumps(tree, ensure_ascii=False), "f.yml").tree == tree
