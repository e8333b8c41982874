"""The busy-machine benchmark: its table of measured speeds, and one real measurement."""

import runpy
import subprocess
import sys

import pytest
from runkit import REPOSITORY, workplace, write_options

SCRIPT = REPOSITORY / "benchmarks/busy_machine.py"
FOUND = {
    "sleep": [{0: 4.0, 1: 2.0, 2: 1.0}, {0: 5.0, 1: 2.0, 2: 1.0}, {0: 3.0, 1: 2.0, 2: 0.5}],
    "spin": [{0: 4.0, 1: 0.1, 2: 0.1}, {0: 5.0, 1: 0.1, 2: 0.1}, {0: 4.0, 1: 0.1, 2: 0.1}],
}


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(SCRIPT))


def test_shares_are_per_run_and_their_median_is_used(script):
    assert script["busy_share"](FOUND) == pytest.approx(0.5)
    assert script["quiet_ratio"](FOUND) == pytest.approx(1.0)


def test_table_has_medians_extremes_and_shares(script):
    text = script["table"](FOUND)
    assert "| waiting threads soon sleep (traiNNer) | 4.00 (3.00 to 5.00), 100% | 2.00 (2.00 to 2.00), 50% |" in text
    assert "Beside one busy process 50% of the quiet pace are left (target: at least 33%)." in text


@pytest.mark.nightly
def test_measures_real_runs(tmp_path):
    options = write_options(workplace(tmp_path))
    for name in ("data", "val"):  # the runs have their own folder
        options.write_text(options.read_text().replace(f" {name}/", f" {tmp_path / name}/"))
    output = tmp_path / "table.md"
    command = [sys.executable, SCRIPT, "--seconds", "0.01", "--repetitions", "1"]
    command += ["--options", options, "--output", output]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert output.exists(), done.stderr
    assert done.returncode in (0, 1)  # whether the targets are met depends on the machine
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:6]] == [
        *(f"sleep beside {count}" for count in range(3)),
        *(f"spin  beside {count}" for count in range(3)),
    ]
    assert output.read_text().count("\n| ") == 4
