"""The plumbing of the report about a device: parts, limits, rows, files."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as report
from benchmarks.gpu.__main__ import Found, Part, lines_in, markdown, parts_for, run, speeds_in


def test_all_parts_fit_into_eight_minutes_and_name_files_that_exist():
    parts = parts_for("cuda")
    assert sum(part.seconds for part in parts) <= 480
    files = [word for part in parts for word in part.command if word.startswith("tests/")]
    assert {Path(file).name for file in files} == {path.name for path in (report.ROOT / "tests/gpu").glob("test_*.py")}


def test_a_part_that_takes_too_long_keeps_what_it_found():
    line = '{"network": "nano", "arm": "float32", "ms": 2.0, "loss": 0.5, "failed": ""}'
    script = f"import time; print('{line}', flush=True); time.sleep(60)"
    found = run(Part("speed", [sys.executable, "-c", script], 3), 100)
    assert [row["ms"] for row in found.rows] == [2.0]
    assert found.ended.startswith("ended after 3 s")
    assert not found.is_good


def test_a_part_without_a_result_says_what_it_printed():
    found = run(Part("speed", [sys.executable, "-c", "raise SystemExit('no such card')"], 30), 100)
    assert found.ended == "no result: no such card"
    assert not found.is_good


def test_gains_and_differences_are_relative_to_float32():
    rows = [
        {"network": "nano", "arm": "float32", "ms": 4.0, "loss": 0.5, "failed": "", "peak": 2**30, "first_s": 1.0},
        {"network": "nano", "arm": "bf16", "ms": 2.0, "loss": 0.51, "failed": "", "peak": 2**29, "first_s": 2.0},
        {"network": "nano", "arm": "fp16", "ms": 0.0, "loss": 0.0, "failed": "RuntimeError: no", "peak": 0},
    ]
    found = speeds_in("noise\n" + "\n".join(map(json.dumps, rows)))
    assert [row["gain"] for row in found] == [1.0, 2.0, None]
    assert found[1]["difference"] == pytest.approx(0.02)
    text = markdown([Found("speed of nano", found, 3.0)], "a card")
    assert "| bf16 | 2.00 | 2 | 0.50 | 2.0 | 0.02 |" in text
    assert "| fp16 | RuntimeError: no |" in text
    assert "3 rows, 1 failed" in text


def test_tests_are_known_even_if_pytest_was_ended():
    output = "tests/gpu/test_device.py::test_a[cuda] PASSED [ 50%]\ntests/gpu/test_device.py::test_b FAILED [100%]\nx"
    assert [(row["name"], row["failed"]) for row in lines_in(output)] == [("test_a[cuda]", ""), ("test_b", "FAILED")]


def test_the_command_on_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", "--device", "cpu", "--out", str(tmp_path)])
    assert report.main() == 0, (tmp_path / "gpu_report.md").read_text()
    found = json.loads((tmp_path / "gpu_report.json").read_text())
    tests, speed = found["parts"]
    assert {row["name"].split("[")[0] for row in tests["rows"]} == {
        "test_a_rewind_returns_to_the_very_state_of_the_snapshot",
        "test_validation_tries_out_no_algorithms",
    }
    assert [row["arm"] for row in speed["rows"]] == ["float32", "bf16"]
    assert all(row["ms"] > 0 and row["difference"] < 0.05 for row in speed["rows"])
    assert "| float32 |" in (tmp_path / "gpu_report.md").read_text()
