"""Every way a run can end: the last line gives the reason, and the exit code is right."""

import os
import signal
import subprocess
import sys
import warnings

import pytest
import torch

from traiNNer.cli.guard import run_guarded
from traiNNer.errors import ConfigError, DataError, OutOfMemory
from traiNNer.utils import plugin_files
from traiNNer.utils.plugin_files import import_file


@pytest.fixture
def ends(capfd):
    """Return a function that runs a guarded call and returns its exit code and output."""

    def run(call):
        code = run_guarded(call)
        return code, capfd.readouterr().out

    return run


def raising(error):
    def run(_):
        raise error

    return run


def test_clean_exit(ends):
    assert ends(lambda book: book.info("working") or "finished: 2/2") == (0, "working\nfinished: 2/2\n")


@pytest.mark.parametrize("error", [ConfigError("wrong options"), DataError("no images")])
def test_user_error_is_only_its_message(ends, error):
    assert ends(raising(error)) == (error.exit_code, f"{error}\n")


def test_error_reports_the_iteration_reached(ends):
    def run(book):
        book.start_progress(600, 135)
        raise DataError("no images")

    assert ends(run) == (3, f"no images\nstopped: {DataError.label} at 135/600\n")


def test_internal_error_shows_its_traceback(ends):
    code, said = ends(raising(ZeroDivisionError("a mistake")))
    assert code == 1
    assert said.startswith("Traceback (most recent call last):")
    assert "ZeroDivisionError: a mistake" in said
    assert "report it" in said.splitlines()[-1]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("full"), RuntimeError("CUDA out of memory")])
def test_out_of_memory_has_its_own_exit_code(ends, error):
    code, said = ends(raising(error))
    assert code == OutOfMemory.exit_code
    assert said.startswith("Out of memory. Try a smaller batch or crop.")


def test_plugin_error_is_not_an_internal_error(ends, tmp_path, monkeypatch):
    monkeypatch.setattr(plugin_files, "_imported", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "guarded_plugin_of_test.py"
    path.write_text("def fail(book):\n    raise KeyError('x')\n")
    code, said = ends(import_file(path).fail)
    del sys.modules["guarded_plugin_of_test"]
    assert code == ConfigError.exit_code
    assert said.startswith("guarded_plugin_of_test.py line 2: KeyError: 'x'. ")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)]
)
def test_signal_before_the_loop_exists(ends, number, code):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert ends(lambda _: os.kill(os.getpid(), number))[0] == code
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signal_after_the_end_does_not_take_the_code_away(ends, number):
    ends(lambda _: "finished")
    os.kill(os.getpid(), number)


def test_ctrl_c_while_closing_ends_at_once_without_a_traceback():
    code = """
import os, signal, sys
from traiNNer.cli.guard import run_guarded
from traiNNer.engine.log.logbook import Logbook
Logbook.close = lambda _: os.kill(os.getpid(), signal.SIGINT)
sys.exit(run_guarded(lambda _: "finished: 2/2"))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "finished: 2/2\n", "")


def test_warnings_are_lines_of_the_log_and_the_filters_stay(ends):
    filters, show = list(warnings.filters), warnings.showwarning
    code, said = ends(lambda _: warnings.warn("be careful", stacklevel=1) or "finished")
    assert (code, said) == (0, "Warning: be careful\nfinished\n")
    assert (warnings.filters, warnings.showwarning) == (filters, show)
