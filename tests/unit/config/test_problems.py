"""Messages of schema errors: one per key, with the fix."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from traiNNer.config import facts, tree
from traiNNer.config import problems as problems_module
from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.config.problems import Section, explain, unknown
from traiNNer.config.tree import Node, Report, node_of
from traiNNer.errors import ConfigError, Problem
from traiNNer.registry import StrictOptions


class Inner(StrictOptions):
    """A section."""

    size: int


class Schema(StrictOptions):
    """Options of every kind."""

    count: Annotated[int, Field(gt=0)] = 1
    rate: Annotated[float, Field(lt=10)] = 0.1
    on: bool = False
    name: str = ""
    mode: Literal["fast", "slow"] = "fast"
    pair: tuple[int, int] | None = None
    many: int | tuple[int, ...] = 1
    inner: Inner = Inner(size=1)


def messages(values: dict, section: Section | None = None) -> dict[str, str]:
    node, report = node_of(values), Report()
    with pytest.raises(ValidationError) as caught:
        Schema.parse(values)
    explain(caught.value, node, lambda _: section or Section(tuple(Schema.model_fields)), report)
    return {problem.key: problem.message for problem in report.problems}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "must be greater than 0"),
        ({"count": 2.0}, "must be a whole number (write 2)"),
        ({"count": 2.5}, "must be a whole number"),
        ({"count": "1_000"}, "must be a whole number (write 1000)"),
        ({"count": "100,000"}, "must be a whole number (write 100000)"),
        ({"count": "5#epochs"}, "must be a whole number (write 5 #epochs)"),
        ({"count": "many"}, "must be a whole number"),
        ({"rate": "1e-3"}, "must be a number (write 1e-3)"),
        ({"rate": "2,5e-4"}, "must be a number (write 2.5e-4)"),
        ({"rate": "1e-4#comment"}, "must be a number (write 1e-4 #comment)"),
        ({"rate": float("inf")}, "must be a finite number"),
        ({"on": "Yes"}, "must be true or false (write true)"),
        ({"on": "off"}, "must be true or false (write false)"),
        ({"on": "maybe"}, "must be true or false"),
        ({"name": 12}, 'must be text (write "12")'),
        ({"name": True}, 'must be text (write "true")'),
        ({"mode": "fats"}, "must be 'fast' or 'slow'; did you mean 'fast'?"),
        ({"inner": 3}, "must be a section (keys and values)"),
        ({"pair": "(3, 6)"}, "must be a list (write [3, 6])"),
        ({"pair": "pair"}, "must be a list"),
    ],
)
def test_invalid_value_reports_the_requirement(values, message):
    (key,) = values
    assert messages(values) == {key: message}


def test_value_is_repeated_as_it_stands_in_the_file(problems, base):
    for written in ("1.10", "1e3", "0x1F", "True"):
        ((_, _, message),) = problems(base.replace("name: run", f"name: {written}"))
        assert message == f'must be text (write "{written}")'


def test_name_where_a_section_is_needed(problems, base):
    start, end = base.index("  losses:"), base.index("val:\n  val_freq")
    one = f"{base[:start]}  losses: [L1Loss]\n{base[end:]}"
    message = "must be a section (keys and values) (write {type: L1Loss})"
    assert problems(one) == [(18, "train.losses[0]", message)]
    none = f"{base[:start]}  losses: []\n{base[end:]}"
    assert problems(none) == [(18, "train.losses", "must be a list of 1 or more values")]


def test_many_unknown_keys_are_counted_and_few_are_compared(base, tmp_path, monkeypatch):
    compared = []
    real = tree.nearest
    for module in (tree, problems_module, facts):
        monkeypatch.setattr(
            module, "nearest", lambda word, *rest, **more: compared.append(word) or real(word, *rest, **more)
        )
    path = tmp_path / "o.yml"
    path.write_text(base + "".join(f"k{number}: 1\n" for number in range(3000)))
    with pytest.raises(ConfigError) as caught:
        load_options(path, TrainOptions)
    assert len(caught.value.problems) == 3000
    assert 0 < len(compared) < 1000
    assert str(caught.value).endswith("\n  and 2,950 more")


def test_long_keys_are_cut_and_not_compared(monkeypatch):
    monkeypatch.setattr(tree.difflib, "get_close_matches", lambda *_, **__: pytest.fail("compared"))
    assert tree.nearest("q" * 200, ["quiet"]) is None
    shown = Problem("q" * 200, "unknown option").place()[1]
    assert shown == "q" * 100 + "..."


def test_missing_key_is_reported_with_its_description():
    assert messages({"inner": {}}) == {"inner.size": "is missing"}
    about = Section((), described={"size": "Side in pixels."}.get)
    assert messages({"inner": {}}, about) == {"inner.size": "is missing: Side in pixels."}


def test_too_short_list_is_one_problem():
    assert messages({"pair": [1]}) == {"pair": "has too few values"}


def test_union_errors_come_from_the_furthest_branch():
    assert messages({"many": [1, "x"]}) == {"many[1]": "must be a whole number"}


def test_problems_are_reported_together_with_the_nearest_keys():
    found = messages({"cuont": 1, "rate": "x", "zzz": 1})
    assert found == {
        "cuont": "unknown option; did you mean 'count'?",
        "rate": "must be a number",
        "zzz": "unknown option",
    }


@pytest.mark.parametrize(
    ("key", "home", "message", "meant"),
    [
        ("lr", None, "unknown option", None),
        ("rat", None, "unknown option; did you mean 'rate'?", "rate"),
        ("rat", "belongs to train", "unknown option; did you mean 'rate'? ('rat' belongs to train)", "rate"),
        ("rte_of", "belongs to train", "unknown option; belongs to train", None),
    ],
)
def test_key_of_another_section_names_that_section(key, home, message, meant):
    report = Report()
    assert unknown(Node(1, 3, key), key, Section(("rate", "count"), elsewhere=lambda _: home), report) == meant
    assert [(problem.line, problem.message) for problem in report.problems] == [(3, message)]
