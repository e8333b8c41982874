"""Single values of a file during validation."""

import pytest

from traiNNer.config.facts import Facts
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import COMMAND_LINE, Node, Report, node_of
from traiNNer.registry import OPTIMIZERS


def facts(tree: dict, report: Report | None = None) -> Facts:
    return Facts(node_of(tree), TrainOptions, {("train", "optim_g"): OPTIMIZERS["adamw"]}, report or Report())


def test_value_comes_from_the_file_the_default_or_none():
    found = facts({"train": {"warmup_iter": 7}, "scale": 2})
    assert found.value(("train", "warmup_iter"), int) == 7
    assert found.value(("train", "accum"), int) is None
    default = TrainOptions.model_fields["manual_seed"].get_default(call_default_factory=True)
    assert found.value(("manual_seed",), int) == default
    assert found.value(("name",), str) is None, "a required value has no default"


def test_component_default_is_its_signature():
    field = OPTIMIZERS["adamw"].options.model_fields["weight_decay"].default
    assert facts({"train": {"optim_g": {}}}).value(("train", "optim_g", "weight_decay"), float) == field


@pytest.mark.parametrize(
    ("written", "kind", "read"),
    [(2, float, 2.0), (True, int, None), ("2", int, None), (2.5, int, None), (True, bool, True)],
)
def test_value_of_another_type_reads_as_none(written, kind, read):
    found = facts({"scale": written}).value(("scale",), kind)
    assert found == read
    assert type(found) is type(read)


def test_invalid_value_reads_as_none():
    report = Report()
    found = facts({"scale": 2}, report)
    report.at(found.root.at(("scale",)), "is wrong")
    assert found.value(("scale",), int) is None


def test_switches_and_sections():
    found = facts({"train": {"grad_clip": True}, "val": {"save_img": "yes"}, "name": "x"})
    assert found.on("train", "grad_clip")
    assert not found.on("val", "save_img")
    assert list(found.entries("train")) == ["grad_clip"]
    assert found.section("name") is None
    assert found.entries("logger") == {}


def test_problem_is_located_at_its_value():
    report = Report()
    found = Facts(Node({"train": Node({"a": Node(1, 3, "train.a")}, 2, "train")}, 1), TrainOptions, {}, report)
    found.problem(("train", "a"), "is wrong")
    found.problem(("train", "optim_g", "lr"), "is missing")
    assert [(p.key, p.line) for p in report.problems] == [("train.a", 3), ("train.optim_g.lr", 2)]


def test_mistyped_section_gets_a_suggestion():
    assert facts({"datasetz": {}}).is_mistyped("datasets")
    assert not facts({"datasets": {}}).is_mistyped("datasets")
    assert not facts({"datasetz": {}}).is_mistyped("train")


def test_value_sources():
    root = Node({"scale": Node(2, 4, "scale"), "name": Node("x", None, "name", COMMAND_LINE)}, 1)
    found = Facts(root, TrainOptions, {}, Report())
    assert [found.place(key) for key in ("scale", "name", "manual_seed")] == ["line 4", "--set", "default"]
