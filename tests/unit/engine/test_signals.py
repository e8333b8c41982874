import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from traiNNer.engine.signals import StoppedWaiting, StopSignals

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]


@pytest.mark.parametrize("number", NUMBERS)
def test_first_signal_is_recorded_and_handlers_are_restored(number):
    before = [signal.getsignal(one) for one in NUMBERS]
    with StopSignals() as stop:
        assert stop.received == 0
        os.kill(os.getpid(), number)
        assert stop.received == number
    assert [signal.getsignal(one) for one in NUMBERS] == before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_ignored_signal_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), number)
            assert stop.received == 0
    finally:
        signal.signal(number, before)


def test_other_thread_changes_no_handler():
    def run():
        with StopSignals():
            found.extend(signal.getsignal(one) for one in NUMBERS)

    before, found = [signal.getsignal(one) for one in NUMBERS], []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == before


def test_handler_that_was_not_set_from_python_is_not_set_again(monkeypatch):
    handlers = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: handlers.append(handler))  # returns None for such
    with StopSignals():
        assert handlers
    assert None not in handlers


def test_signal_leaves_a_wait_at_once():
    with StopSignals() as stop:
        with pytest.raises(StoppedWaiting), stop.answered_at_once():
            signal.raise_signal(signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        begun = []
        with pytest.raises(StoppedWaiting), stop.answered_at_once():
            begun.append(True)
        assert begun == []


def test_signal_while_a_library_calls_back_is_answered_next():
    """No exception can leave such a function: cffi prints and drops it, and the run would never stop."""
    library = {"__name__": "pyvips.gobject", "signal": signal}
    exec("def called_back():\n    signal.raise_signal(signal.SIGTERM)\n    return 'read'", library)
    with StopSignals() as stop:
        with stop.answered_at_once():
            assert library["called_back"]() == "read"
        assert stop.received == signal.SIGTERM
        with pytest.raises(StoppedWaiting), stop.answered_at_once():
            pass


def test_second_signal_leaves_no_process_behind():
    code = """
import multiprocessing, os, signal, time
from traiNNer.engine.signals import StopSignals
def hang():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
child = multiprocessing.get_context("fork").Process(target=hang)
with StopSignals():
    child.start()
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 143
    status, deadline = Path(f"/proc/{int(done.stdout)}/stat"), time.monotonic() + 60
    while status.exists() and status.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_second_signal_ends_at_once():
    code = """
import os, signal
from traiNNer.engine.signals import StopSignals
with StopSignals():
    os.kill(os.getpid(), signal.SIGTERM)
    print("first", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("second", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "first\n")
