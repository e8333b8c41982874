"""Tables on narrow screens: whatever the width, no word and no number is cut."""

import io

import pytest
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.text import Text

from traiNNer.utils.console import PlainConsole
from traiNNer.utils.rows import FoldingTable, entries, terminal_width

HEAD = ("iteration", "automation", "change", "reason")
ROWS = [
    ("120000", "IntelligentLearningRateScheduler", "lr_factor 1 -> 0.5", "the loss is flat: 0.0123456 of 0.02"),
    ("7", "IntelligentEarlyStopping", "stop", ""),
]


def shown(width, table=None, rows=ROWS, **options):
    table = table or FoldingTable(*HEAD, **options)
    for row in rows:
        table.add_row(*map(Text, row))
    file = io.StringIO()
    PlainConsole(file=file, width=width).print(table)
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 50, 60, 70, 80, 90, 100, 120, 200])
@pytest.mark.parametrize("box", [{}, {"box": SIMPLE_HEAD, "pad_edge": False}])
def test_no_word_is_cut_at_any_width(width, box):
    text = shown(width, **box)
    assert max(map(cell_len, text.splitlines())) <= width
    words = set(text.replace(":", " ").split())
    for word in [word for row in ROWS for cell in row for word in cell.replace(":", " ").split()]:
        assert word in words


def test_wide_screen_has_a_table_of_its_natural_width():
    lines = [line.rstrip() for line in shown(200, box=None, pad_edge=False).splitlines()]
    assert [line.split("  ")[0].strip() for line in lines] == ["iteration", "120000", "7"]
    assert len(lines) == 1 + len(ROWS)


def test_narrow_screen_has_a_list_of_entries():
    assert shown(60).splitlines() == [
        "120000",
        "  automation: IntelligentLearningRateScheduler",
        "  change: lr_factor 1 -> 0.5",
        "  reason: the loss is flat: 0.0123456 of 0.02",
        "7",
        "  automation: IntelligentEarlyStopping   change: stop",
    ]


def test_entry_that_is_wider_than_the_screen_is_folded_between_words():
    text = entries(("", "why"), ("", "one two three four five six"), 20)
    assert text.splitlines() == ["  why: one two three", "      four five six"]


def test_wide_characters_are_counted_as_wide():
    text = shown(24, FoldingTable("a", "b"), [("写真", "写真 写真 写真 写真 写真")])
    assert max(map(cell_len, text.splitlines())) <= 24


@pytest.mark.parametrize(("is_terminal", "width"), [(True, 57), (False, None)])
def test_only_a_terminal_has_a_width(monkeypatch, is_terminal, width):
    monkeypatch.setenv("COLUMNS", "57")
    monkeypatch.setattr("sys.stdout", type("Output", (io.StringIO,), {"isatty": lambda self: is_terminal})())
    assert terminal_width() == width
