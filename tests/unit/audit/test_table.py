"""The report of an audit, as a user reads it."""

from collections import Counter
from dataclasses import replace

import pytest
from imagekit import numbers, write_pairs, write_png
from rich.console import Console

from traiNNer.audit.findings import KINDS, Finding
from traiNNer.audit.survey import survey
from traiNNer.audit.table import NAMES_SHOWN, audit_report


class Deep:
    """Kernel measurements."""

    def __init__(self, **kernels: int) -> None:
        self.kernels = Counter({name.replace("none", "") or None: count for name, count in kernels.items()})


def text(found, deep=None, findings=(), width=200) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(audit_report(found, deep, findings))
    return captured.get()


@pytest.fixture
def found(tmp_path):
    write_pairs(tmp_path, 3, (40, 50))
    return survey(tmp_path / "hr", tmp_path / "lr")


def test_valid_dataset_is_summarized(found):
    lines = [line.strip() for line in text(found, width=400).splitlines()]
    assert lines == [
        f"3 pairs in {found.gt_root} and {found.lq_root}",
        "scale: 2x in all pairs",
        "HR width 100 px, height 80 px",
        "depth: 8 bit in 6 files",
        "No problems found.",
    ]


def test_mixed_sizes_and_depths_are_ranges_and_counts(tmp_path):
    write_pairs(tmp_path, 3, (40, 50))
    write_png(tmp_path / "hr/000.png", numbers(60, 90, 3, bits=16))
    shown = text(survey(tmp_path / "hr"), width=400)
    assert "3 HR images in" in shown
    assert "HR width 90 to 100 px (median 100), height 60 to 80 px (median 80)" in shown
    assert "depth: 8 bit in 2 files, 16 bit in 1 files" in shown
    assert "scale:" not in shown


def test_several_scales_are_counted(found):
    assert "scale: 2x in 4, none that fits in 1" in text(replace(found, scales=Counter({2: 4, None: 1})))


def test_kernels_are_reported_for_pairs_only(found):
    assert "LR made by: bicubic in 2, too smooth to identify in 1" in text(found, Deep(bicubic=2, none=1))
    assert "LR made by: no usable pair" in text(found, Deep())
    assert "LR made by" not in text(found)
    assert "LR made by" not in text(replace(found, lq_root=None), Deep(bicubic=2))


def test_findings_are_grouped_by_kind_in_order_with_first_names(found):
    many = [Finding("gray", f"g{n}") for n in range(NAMES_SHOWN + 2)]
    shown = text(found, None, [*many, Finding("unreadable", "u", "empty file")])
    assert "No problems found." not in shown
    assert shown.index(KINDS["unreadable"].title) < shown.index(KINDS["gray"].title)
    row = next(line for line in shown.splitlines() if KINDS["gray"].title in line)
    assert str(NAMES_SHOWN + 2) in row.split()
    assert "g4" in shown
    assert "g5" not in shown
    assert "… and 2 more" in shown
    assert "u (empty file)" in shown
    assert KINDS["unreadable"].stops
    assert f"{KINDS['unreadable'].title} (training is refused)" in shown
    assert f"{KINDS['gray'].title} (training is refused)" not in shown


def test_control_characters_of_a_name_are_escaped_before_the_table_measures_them(found):
    kind = next(iter(KINDS))
    finding = Finding(kind, "a\x1b[31m\x07\nb.png")
    row = next(line for line in text(found, findings=[finding]).splitlines() if ".png" in line)
    assert r"a\x1b[31m\x07\nb.png" in row
