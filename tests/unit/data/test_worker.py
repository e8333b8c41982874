"""Data workers hear no stop signal and do not outlive the run."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from traiNNer.data.worker import STOP_SIGNALS, kill, start_worker
from traiNNer.engine.signals import ALWAYS, UNLESS_IGNORED

PARENT = """
import multiprocessing, os, time
from traiNNer.data.worker import start_worker

def work():
    start_worker(0)
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    multiprocessing.get_context("fork").Process(target=work).start()
    time.sleep(600)
"""


def test_workers_ignore_every_signal_that_stops_a_run():
    assert {getattr(signal, name) for name in STOP_SIGNALS} == {*ALWAYS, *UNLESS_IGNORED}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_worker_dies_with_its_run():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    status = Path(f"/proc/{int(parent.stdout.readline())}/status")
    assert int(next(line for line in status.read_text().splitlines() if "SigIgn" in line).split()[1], 16) & 1 << 14
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_kill_ends_all_before_it_waits_for_one():
    class Worker:
        def __init__(self):
            self.is_killed = False

        def kill(self):
            self.is_killed = True

        def join(self):
            assert all(worker.is_killed for worker in workers)

    workers = [Worker(), Worker()]
    kill(iter(workers))
    assert callable(start_worker)
    assert [worker.is_killed for worker in workers] == [True, True]
