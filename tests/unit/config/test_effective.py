"""The effective options as a file: it reads back equal, with the source of every value."""

import pytest
import yaml

from traiNNer.config.effective import file_form, scalar, sources_of, write, write_explained
from traiNNer.config.tree import COMMAND_LINE, Node
from traiNNer.config.yaml.strict import load_yaml

TREE = {"name": "a b", "train": {"lr": 1e-3, "losses": [{"type": "L1Loss"}, {"type": "x", "w": 2}]}, "plugins": []}


def test_written_file_reads_back_as_the_same_tree():
    assert yaml.safe_load(write(TREE, {})) == TREE
    assert yaml.safe_load(write_explained(TREE, {})) == TREE


def test_loading_the_active_options_gives_the_same_options(load):
    first = load()
    second = load(first.effective())
    assert second.options == first.options
    assert file_form(second.options) == file_form(first.options)


def test_component_options_are_siblings_of_type(load, base):
    form = file_form(load(base).options)
    assert form["train"]["losses"][1] | {"type": "charbonnierloss", "eps": 1e-3} == form["train"]["losses"][1]
    assert "options" not in form["network_g"]
    assert form["network_g"]["dim"] == 8


def test_every_value_names_its_source():
    root = Node({"a": Node(1, 3, "a"), "s": Node({"b": Node(2, None, "s.b", COMMAND_LINE)}, 4, "s")}, 1)
    sources = sources_of({"a": 1, "s": {"b": 2, "c": 5}, "empty": {}}, root)
    assert sources == {"a": "file line 3", "s.b": "--set", "s.c": "default", "empty": "default"}


def test_sources_are_comments_and_defaults_have_none():
    assert write({"a": 1, "b": [1, 2]}, {"a": "file line 3"}) == "a: 1  # file line 3\nb: [1, 2]  # default\n"


def test_reasons_are_aligned_and_sections_separated():
    text = write_explained({"a": 1, "s": {"b": 2}}, {"s.b": "why"}, column=10)
    assert text == "a: 1\n\ns:\n  b: 2      # why\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain text", "plain text"),
        ("yes", '"yes"'),
        ("On", '"On"'),
        ("12", '"12"'),
        ("null", '"null"'),
        ("a: b", '"a: b"'),
        ("", '""'),
        ("é", '"é"'),
        ("\u200b", '"\\u200b"'),
        (1e-05, "1.0e-05"),
        (-2e20, "-2.0e+20"),
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_scalar_is_quoted_unambiguously(value, text):
    assert scalar(value) == text
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize(
    "text", ["a\tb", "C:\\n\te", "\\\n", "\\\\\n\r\b\f", "C:\\temp", "\u200bq", "\x85", "\u201cq\u201d"]
)
def test_text_with_unusual_characters_reads_back(text):
    assert load_yaml(write({"a": text}, {}), "f.yml").tree == {"a": text}
