"""Values that carry their source position."""

import pytest

from traiNNer.config.tree import (
    COMMAND_LINE,
    Node,
    Report,
    did_you_mean,
    key_of,
    looks_like_other,
    nearest,
    node_of,
    shown,
)


def tree() -> Node:
    return Node(
        {"train": Node({"losses": Node([Node("a", 4, "train.losses[0]")], 3, "train.losses")}, 2, "train")}, 1, ""
    )


def test_path_is_shown_as_written():
    assert key_of(("train", "losses", 1, "type")) == "train.losses[1].type"
    assert key_of(()) == ""


def test_node_lookup():
    root = tree()
    found = root.at(("train", "losses", 0))
    assert (found.value, found.line) == ("a", 4)
    for path in (("train", "losses", 1), ("train", "losses", "x"), ("other",), ("train", "losses", 0, "deeper")):
        assert root.at(path) is None


def test_deepest_node_is_the_last_existing_one():
    assert tree().deepest(("train", "losses", 5, "type")).key == "train.losses"
    assert tree().deepest(("nothing",)).key == ""


def test_plain_values_and_back():
    plain = {"a": {"b": [1, {"c": None}]}}
    node = node_of(plain, source=COMMAND_LINE)
    assert node.plain() == plain
    inner = node.at(("a", "b", 1, "c"))
    assert (inner.key, inner.source, inner.place()) == ("a.b[1].c", COMMAND_LINE, COMMAND_LINE)


def test_renamed_copy_reports_its_new_path_and_keeps_the_old():
    root = tree()
    copy = root.at(("train",)).renamed("other")
    assert copy.at(("losses", 0)).key == "other.losses[0]"
    assert copy.at(("losses", 0)).line == 4
    assert root.at(("train", "losses", 0)).key == "train.losses[0]"


def test_nearest_name_ignores_case():
    assert nearest("ADAMWW", ["AdamW", "SGD"]) == "AdamW"
    assert nearest("xyz", ["AdamW", "SGD"]) is None
    assert nearest("adam", ["AdamW"], cutoff=0.95) is None
    assert did_you_mean("sgdd", ["SGD"]) == "; did you mean 'SGD'?"
    assert did_you_mean("nothing", ["SGD"]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("abc", "abc"),
        ("12", '"12"'),
        ("two\n lines", "two lines"),
        ("x" * 41, "x" * 37 + "..."),
        ("x" * 40, "x" * 40),
        ([1, 2], "[1, 2]"),
        ([[1]], None),
        ({"a": 1}, None),
    ],
)
def test_value_is_shown_short_and_unambiguous(value, text):
    assert shown(node_of(value)) == text


def test_ambiguous_string_needs_quotes():
    assert [looks_like_other(text) for text in ("1", "1e-3", "true", "null", "abc")] == [True] * 4 + [False]


def test_only_the_first_problem_of_a_key_is_reported():
    report, node = Report(), Node("x", 7, "train.a")
    report.at(node, "is wrong")
    report.at(node, "is wrong again")
    (problem,) = report.problems
    assert (problem.key, problem.message, problem.line, problem.value) == ("train.a", "is wrong", 7, "x")
    assert report.bad == {"train.a"}


def test_problem_shows_no_value_for_missing_keys_and_names_overrides():
    report = Report()
    report.at(Node({}, 2, "train"), "is missing", below="lr")
    report.at(Node({}, None, ""), "is missing", below="name")
    report.at(Node(3, None, "scale", COMMAND_LINE), "is wrong")
    assert [(p.key, p.line, p.value) for p in report.problems] == [
        ("train.lr", 2, None),
        ("name", None, None),
        ("--set scale", None, "3"),
    ]


def test_problems_are_in_file_order_with_overrides_last():
    report = Report()
    report.at(Node(1, None, "c", COMMAND_LINE), "x")
    report.at(Node(1, 9, "b"), "x")
    report.at(Node(1, 2, "a"), "x")
    assert [problem.line for problem in report.sorted()] == [2, 9, None]
