"""The screen may go away, fill up or never have been there: nothing that is shown raises."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from traiNNer.engine.log.screen import screen

LINES = """
import sys
from traiNNer.engine.log.screen import drop_unwritten, screen
console = screen()
for _ in range(3):
    console.print("a line")
drop_unwritten()
sys.exit(7)
"""


class Failing(io.StringIO):
    """Raises whenever it is written to."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "full"), OSError(5, "gone"), ValueError("closed")])
def test_line_that_cannot_be_shown_is_lost(monkeypatch, error):
    monkeypatch.setattr(sys, "stdout", Failing(error))
    screen().print("a line")


def test_lines_are_shown_as_they_are(capsys):
    screen().print(":x: [red]a[/red] " + "b" * 200)
    assert capsys.readouterr().out == ":x: [red]a[/red] " + "b" * 200 + "\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_disk_does_not_change_the_exit_code():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", LINES], check=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (7, b"")


def test_closed_terminal_does_not_change_the_exit_code():
    main, side = os.openpty()
    os.close(main)
    done = subprocess.run([sys.executable, "-c", LINES], check=False, stdout=side, stderr=side)
    os.close(side)
    assert done.returncode == 7
