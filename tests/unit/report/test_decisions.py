import json

import pytest

from traiNNer.cli import main

RATE, STOP = "IntelligentLearningRateScheduler", "IntelligentEarlyStopping"


def decision(iteration, automation=RATE, **fields):
    start = {"event": "decision", "iter": iteration, "automation": automation, "knob": None, "old": None, "new": None}
    return start | {"reason": "because", "evidence": {}, "n_adjustments": 1} | fields


ENTRIES = [
    decision(1200, knob="lr_factor", old=1.0, new=0.5, evidence={"slope": -1.23456789e-06, "window": 2000}),
    decision(1300, action="rollback", reason="diverged [bold]"),
    decision(1400, knob="lr_factor", old=0.5, new=1.0, action="fallback"),
    decision(1500, STOP, action="stop", shadow=True),
]


@pytest.fixture
def explain(tmp_path, capsys):
    """Return a function that writes a record and returns exit code, output and errors of the command."""

    def run(text=None, name="run", asked="run"):
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "decisions.jsonl").write_text(text, encoding="utf-8")
        code = main(["explain-run", asked, "--root", str(tmp_path)])
        return code, *capsys.readouterr()

    return run


def lines_of(*entries):
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


def test_every_decision_is_a_row(explain):
    code, output, errors = explain(lines_of({"event": "run_started", "iter": 0}, *ENTRIES))
    assert (code, errors) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line]
    assert rows == [
        ["1200", RATE, "lr_factor 1 -> 0.5", "because", "slope -1.235e-06, window 2000"],
        ["1300", RATE, "rollback", "diverged [bold]", ""],
        ["1400", RATE, "lr_factor 0.5 -> 1 (fallback)", "because", ""],
        ["1500", STOP, "stop [shadow: not applied]", "because", ""],
    ]


def test_narrow_terminal_shows_all_of_it(explain, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    _, output, _ = explain(lines_of(*ENTRIES))
    assert max(map(len, output.splitlines())) <= 60
    assert output.splitlines()[:5] == [
        "1200",
        f"  automation: {RATE}",
        "  change: lr_factor 1 -> 0.5   reason: because",
        "  evidence: slope -1.235e-06, window 2000",
        "1300",
    ]


def test_every_automation_line_counts(explain):
    _, output, _ = explain(lines_of(*ENTRIES))
    assert output.splitlines()[-2:] == [
        f"{RATE}: 3 decisions (lr_factor 2, rollback 1)",
        f"{STOP}: 1 decision (stop 1)",
    ]


@pytest.mark.parametrize("rest", ['{"event": "decisi', "[1]\n", "\n", '"text"'])
def test_partial_line_of_a_killed_run_is_skipped(explain, rest):
    code, output, _ = explain(lines_of(ENTRIES[0]) + rest)
    assert code == 0
    assert output.splitlines()[-1] == f"{RATE}: 1 decision (lr_factor 1)"


@pytest.mark.parametrize("text", [None, "", lines_of({"event": "run_started"}), '{"event"'])
def test_run_without_decisions_is_reported(explain, text):
    assert explain(text) == (0, "run: no decisions were recorded.\n", "")


def test_minimal_entry_is_shown(explain):
    code, output, _ = explain(lines_of({"event": "decision", "evidence": 3, "iter": 5}))
    assert code == 0
    assert output.splitlines()[-1] == ": 1 decision (other 1)"


def test_unknown_run_suggests_the_nearest(explain, tmp_path):
    (tmp_path / "2x_spann").mkdir()
    (tmp_path / "other").mkdir()
    code, output, errors = explain(name="2x_span", asked="2x_Span2")
    assert (code, output) == (2, "")
    assert errors == f"There is no run {tmp_path / '2x_Span2'}; nearest: 2x_span, 2x_spann\n"


def test_unknown_run_lists_the_existing_ones(explain, tmp_path):
    assert explain(asked="zzzz")[2] == f"There is no run {tmp_path / 'zzzz'}; there: run\n"


def test_no_folder_of_runs(tmp_path, capsys):
    assert main(["explain-run", "run", "--root", str(tmp_path / "none")]) == 2
    assert (
        capsys.readouterr().err == f"There is no folder {tmp_path / 'none'}; name the folder of the runs with --root.\n"
    )


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "/etc", "", "."])
def test_name_escaping_the_root_is_refused(explain, name):
    code, output, errors = explain(asked=name)
    assert (code, output) == (2, "")
    assert "is not allowed" in errors


def test_unreadable_record(explain, tmp_path):
    (tmp_path / "odd" / "decisions.jsonl").mkdir(parents=True)
    code, _, errors = explain(asked="odd")
    assert code == 2
    assert "decisions.jsonl cannot be read: " in errors


def test_damaged_and_foreign_lines_are_skipped(explain):
    lines = ["[" * 10_000, "5", "null", '{"event": []}', "\x00", '{"event": "decision", "evidence": [1], "knob": {}}']
    code, said, _ = explain("\n".join([*lines, json.dumps(ENTRIES[0])]) + "\n")
    assert code == 0
    assert "lr_factor" in said
