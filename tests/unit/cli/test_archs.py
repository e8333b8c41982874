"""`trainner archs`."""

import pytest

from traiNNer.cli import main
from traiNNer.cli.archs import short
from traiNNer.registry import ARCHS


def test_family_is_listed_with_its_variants(capsys):
    assert main(["archs", "SAFMN", "scunet"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "network_g.type",
        "at",
        "parameters",
        "multiply-adds",
        "scales",
        "sides",
        "license",
        "opens",
        "as",
    ]
    assert [row.split()[0] for row in rows] == ["safmn", "safmn_l", "scunet"]
    assert "228 k       51.5 G         1, 2, 3, 4     x 8          Apache-2.0    SAFMN" in rows[0]
    assert "1x" in rows[2]
    assert ">= 40" in rows[2]


def test_scale_and_time_are_shown_when_asked_for(capsys):
    assert main(["archs", "superultracompact", "--scale", "4", "--time"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.endswith("step")
    assert row.split()[1] == "4x"
    assert row.endswith(" s")


def test_narrow_terminal_shows_every_number_whole(capsys, monkeypatch):
    monkeypatch.setattr("traiNNer.utils.rows.terminal_width", lambda: 60)
    assert main(["archs", "superultracompact"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "superultracompact",
        "  at: 2x   parameters: 45.2 k   multiply-adds: 10.3 G",
        "  scales: 1, 2, 3, 4   sides: any   license: BSD-3-Clause",
        "  opens as: Compact",
    ]


def test_unknown_name_is_refused(capsys):
    assert main(["archs", "spam"]) == 2
    assert "spam: no such arch; did you mean 'span'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "text"), [(900, "900"), (45156, "45.2 k"), (2.35e6, "2.35 M"), (7.3488e12, "7,349 G")]
)
def test_counts_are_short(number, text):
    assert short(number) == text


def test_every_arch_names_its_license():
    known = {"Apache-2.0", "MIT", "BSD-3-Clause"}
    assert {
        component.traits.license for component in ARCHS if component.builder.__module__.startswith("traiNNer")
    } <= known


def test_discriminator_is_no_network_to_list(capsys):
    assert main(["archs", "dunet"]) == 2
    assert "dunet judges images, it makes none" in capsys.readouterr().err
