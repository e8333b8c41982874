import subprocess
import sys

import pytest

from traiNNer.engine.runtime import launch as launching
from traiNNer.engine.runtime.launch import is_rank, launch, rank_of_process, restarts, wanted_ranks
from traiNNer.errors import RankLost


@pytest.fixture
def start(monkeypatch):
    """Run a program in place of trainner, as two ranks, and return the exit code."""
    popen = subprocess.Popen

    def run(program):
        class Begun(popen):
            def __init__(self, command, **options):
                assert command[1:3] == ["-m", "traiNNer"]
                super().__init__([sys.executable, "-S", "-c", program], **options)

        monkeypatch.setattr(launching.subprocess, "Popen", Begun)
        return launch(["train"], 2, lambda _: None)

    monkeypatch.setattr(launching, "LEAVE_S", 0.1)
    monkeypatch.setattr(launching, "END_S", 5.0)
    return run


class Ended:
    def __init__(self, code):
        self.code = code

    def poll(self):
        return self.code


BOTH = "import os, signal, sys, time; rank = int(os.environ['RANK']); "


def test_ranks_know_each_other_and_end_well(start):
    names = "RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT OMP_NUM_THREADS PYTHONPATH"
    assert start(f"{BOTH}[os.environ[name] for name in '{names}'.split()]") == 0


def test_code_of_the_rank_that_failed_is_returned_and_the_other_one_is_ended(start):
    assert start(f"{BOTH}time.sleep(600) if rank == 0 else sys.exit(3)") == 3


def test_killed_rank_is_named(start, capfd):
    assert start(f"{BOTH}time.sleep(600) if rank == 0 else os.kill(os.getpid(), signal.SIGKILL)") == RankLost.exit_code
    assert "rank 1 was killed by SIGKILL; the other ranks were ended." in capfd.readouterr().err


def test_rank_that_ignores_the_request_is_killed(start, monkeypatch):
    monkeypatch.setattr(launching, "END_S", 0.3)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    program = f"{BOTH}\nif rank == 0:\n    {deaf}\ntime.sleep(0.3); sys.exit(4)"
    assert start(program) == 4


def test_cause_comes_before_what_the_others_say_of_it():
    found = [Ended(code) for code in (RankLost.exit_code, 5, RankLost.exit_code)]
    assert launching._wait_for_first(found) == 1
    assert launching._wait_for_first([*found, Ended(-9)]) == 3
    assert launching._wait_for_first([Ended(0), Ended(0)]) is None


def test_what_the_environment_says(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert (is_rank(), rank_of_process(), restarts()) == (False, 0, 0)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert (is_rank(), rank_of_process(), restarts()) == (True, 3, 2)
    assert [wanted_ranks(given) for given in (0, 1, 4)] == [1, 1, 4]
