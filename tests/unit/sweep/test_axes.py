import pytest

from traiNNer.config.names import refusal
from traiNNer.errors import ConfigError
from traiNNer.sweep import axes as module
from traiNNer.sweep.axes import Axis, Range, parse_axes, points


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("train.optim_g.lr=1e-3,2e-3", Axis("train.optim_g.lr", ("1e-3", "2e-3"))),
        ("a=[1, 2],[3]", Axis("a", ("[1, 2]", "[3]"))),
        ("a={x: 1, y: 2}", Axis("a", ("{x: 1, y: 2}",))),
        ("a='x,y',z", Axis("a", ("'x,y'", "z"))),
        ("a=1e-4..1e-2", Range("a", 1e-4, 1e-2, False)),
        ("a=4..32", Range("a", 4, 32, True)),
        ("a=0..0.5", Range("a", 0, 0.5, False)),
    ],
)
def test_text_is_read(text, found):
    assert parse_axes([text]) == [found]


def test_ranges_of_orders_are_searched_in_powers():
    assert parse_axes(["a=1e-4..1e-2"])[0].in_powers
    assert not parse_axes(["a=1..9"])[0].in_powers
    assert not parse_axes(["a=0..100"])[0].in_powers


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["lr"], "write KEY=VALUE,VALUE or KEY=LOW..HIGH"),
        (["lr="], "write KEY=VALUE,VALUE or KEY=LOW..HIGH"),
        (["a..b=1"], "is not a key"),
        (["a=1,1"], "the values must differ"),
        (["a=1,,2"], "none may be empty"),
        (["a=2..1"], "the first end must be below the second"),
        (["a=1", "a=2"], "a is given twice: list all its values in one text"),
    ],
)
def test_text_that_means_nothing_is_refused(texts, said):
    with pytest.raises(ConfigError, match=said):
        parse_axes(texts)


def test_every_combination_has_every_seed():
    found = points([Axis("train.optim_g.lr", ("1e-3", "2e-3")), Axis("b", ("x",))], [7, 8])
    assert [point.name for point in found] == [
        "lr-1e-3_b-x_seed-7",
        "lr-1e-3_b-x_seed-8",
        "lr-2e-3_b-x_seed-7",
        "lr-2e-3_b-x_seed-8",
    ]
    assert found[0].overrides() == ["train.optim_g.lr=1e-3", "b=x", "manual_seed=7"]


def test_seeds_alone_are_a_sweep():
    assert [point.name for point in points([], [0, 1])] == ["seed-0", "seed-1"]


def test_keys_of_one_ending_are_told_apart():
    assert points([Axis("a.lr", ("1",)), Axis("b.lr", ("2",))], [0])[0].name == "a.lr-1_b.lr-2_seed-0"


@pytest.mark.parametrize("value", ["../../x", "a/b", "{type: l1loss}", "x" * 300, "con", "'ä: 1'"])
def test_names_are_allowed_and_differ(value):
    found = points([Axis("k", (value, value.replace("/", "?") + "!", "."))], [0])
    names = [point.name for point in found]
    assert all(refusal(name) is None for name in names)
    assert len(set(names)) == 3


def test_number_of_runs_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_RUNS", 3)
    assert len(points([Axis("a", ("1", "2", "3"))], [0])) == 3
    with pytest.raises(ConfigError, match="at most 3 runs"):
        points([Axis("a", ("1", "2"))], [0, 1])
