"""Stop signals, killed owners and second runs."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runkit import REPOSITORY, Run, record, run, workplace, write_options

LONG = {"train": {"total_iter": 100_000}, "val": {"val_freq": 50}, "logger": {"save_checkpoint_freq": 50}}


@pytest.mark.parametrize(
    ("number", "code", "workers"),
    [(signal.SIGINT, 130, 0), (signal.SIGTERM, 143, 2), (signal.SIGHUP, 129, 2), (signal.SIGUSR1, 138, 0)],
)
def test_signal_finishes_the_iteration_saves_and_exits(tmp_path, number, code, workers):
    workplace(tmp_path)
    write_options(tmp_path, LONG | {"datasets": {"train": {"num_worker_per_gpu": workers}}})
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    training.wait_for("iter 10/")
    training.signal(number)
    result = training.finish()
    assert result.code == code, result.output
    last = result.output.rstrip().splitlines()[-1]
    how = "Ctrl+C" if number == signal.SIGINT else signal.Signals(number).name
    message = re.fullmatch(
        rf"Interrupted \({re.escape(how)}\) at ([\d,]+)/[\d,]+; checkpoint ([\d,]+) saved\. (.*)", last
    )
    assert message, last
    at, saved = (int(text.replace(",", "")) for text in message.groups()[:2])
    assert at == saved
    assert message[3] == "Continue with --auto_resume."
    assert (tmp_path / f"experiments/run/training_states/{saved}.state").exists()
    entry = record(tmp_path)[-1]
    assert entry["event"] == "run_finished"
    assert entry["iter"] == saved
    assert entry["exit_code"] == code


def test_second_signal_exits_at_once_without_saving(tmp_path):
    workplace(tmp_path)
    slow = "\n".join(
        [
            "import time",
            "from traiNNer.engine import trainer",
            "real = trainer.Trainer._save",
            "def slow(self, must_succeed):",
            "    print('saving', flush=True)",
            "    time.sleep(3600)",
            "    real(self, must_succeed)",
            "trainer.Trainer._save = slow",
        ]
    )
    (tmp_path / "slow.py").write_text(slow)
    write_options(tmp_path, LONG | {"plugins": ["slow.py"], "logger": {"save_checkpoint_freq": 10**6}})
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    training.wait_for("iter 2/")
    training.signal(signal.SIGINT)
    training.wait_for("saving")
    training.signal(signal.SIGINT)
    result = training.finish()
    assert result.code == 130
    assert not list((tmp_path / "experiments/run/training_states").glob("[!.]*"))


def test_second_run_in_the_same_folder_is_refused(tmp_path):
    workplace(tmp_path)
    write_options(tmp_path, LONG | {"datasets": {"train": {"num_worker_per_gpu": 1}}})
    first = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    first.wait_for("iter 5/")
    second = run("train.py", "-opt", "options.yml", "--auto_resume", folder=tmp_path)
    assert second.code == 6, second.output
    assert f"is in use by process {first.pid} on host" in second.output
    os.kill(first.pid, signal.SIGKILL)
    first.finish()
    third = Run("train.py", "-opt", "options.yml", "--overwrite", folder=tmp_path)
    third.wait_for("iter 1/")
    third.signal(signal.SIGTERM)
    assert third.finish().code == 143


def test_sigterm_to_every_process_saves(tmp_path):
    """Batch systems and service managers signal the readers as well."""
    workplace(tmp_path)
    write_options(tmp_path, LONG | {"datasets": {"train": {"num_worker_per_gpu": 2}}})
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    training.wait_for("iter 10/")
    children = [int(pid) for pid in Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()]
    assert len(children) >= 2
    for pid in (*children, training.pid):
        os.kill(pid, signal.SIGTERM)
    result = training.finish()
    assert result.code == 143, result.output
    assert list((tmp_path / "experiments/run/training_states").glob("*.json"))
    for pid in children:
        assert not Path(f"/proc/{pid}").exists()


def test_signal_before_the_loop_exits_with_a_message(tmp_path):
    workplace(tmp_path)
    (tmp_path / "slow.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(3600)\n")
    write_options(tmp_path, LONG | {"plugins": ["slow.py"]})
    for number, code, how in ((signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl+C")):
        training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
        training.wait_for("importing")
        training.signal(number)
        result = training.finish()
        assert result.code == code
        assert result.output.splitlines()[-1] == f"Interrupted ({how}) before there was anything to save."


def test_read_that_hangs_neither_holds_the_run_nor_outlives_it(tmp_path):
    workplace(tmp_path)
    hang = "\n".join(
        [
            "import os, time",
            "from traiNNer.data.datasets import image_files",
            "real = image_files.ImageFiles._decode",
            "def decode(self, path, rows=None):",
            "    while os.path.exists('hang'): time.sleep(0.1)",
            "    return real(self, path, rows)",
            "image_files.ImageFiles._decode = decode",
        ]
    )
    (tmp_path / "hang.py").write_text(hang)
    data = {"train": {"num_worker_per_gpu": 2, "cache_mb": 0}}
    write_options(tmp_path, LONG | {"plugins": ["hang.py"], "datasets": data, "val": {"val_enabled": False}})
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    training.wait_for("iter 10/")
    children = [int(pid) for pid in Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()]
    (tmp_path / "hang").touch()
    time.sleep(1)  # what was read ahead is used up
    training.signal(signal.SIGTERM)
    result = training.finish(60)
    assert result.code == 143, result.output
    assert "saved. Continue with --auto_resume." in result.output
    assert len(children) >= 2
    for pid in children:
        assert not Path(f"/proc/{pid}").exists()


def test_killed_run_leaves_no_reader_behind(tmp_path):
    workplace(tmp_path)
    (tmp_path / "hang.py").write_text(
        "import time\n"
        "from traiNNer.data.datasets import image_files\n"
        "image_files.ImageFiles.sample_at = lambda *_: time.sleep(3600)\n"
    )
    write_options(tmp_path, LONG | {"plugins": ["hang.py"], "datasets": {"train": {"num_worker_per_gpu": 1}}})
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    training.wait_for("paragonsr2 2x")
    children = Path(f"/proc/{training.pid}/task/{training.pid}/children")
    limit = time.monotonic() + 60
    while not (pids := children.read_text().split()) or "SigIgn:\t0000000000000000" in status(pids[0]):
        assert time.monotonic() < limit
        time.sleep(0.05)
    time.sleep(0.5)  # until the worker has asked for its end
    os.kill(training.pid, signal.SIGKILL)
    training.finish()
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < limit, "a data worker has outlived its run"
        time.sleep(0.05)


def status(pid):
    return Path(f"/proc/{pid}/status").read_text()


def is_alive(pid):
    try:
        return "State:\tZ" not in status(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("is_ignored", [True, False], ids=["ignored", "heard"])
def test_terminal_that_goes_away_costs_nothing(tmp_path, is_ignored):
    workplace(tmp_path)
    write_options(tmp_path, LONG | {"val": {"val_enabled": False}})
    main, side = pty.openpty()
    terminal, nohup = os.ttyname(side), {"NOHUP": "1"} if is_ignored else {}
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path, terminal=terminal, TERM="xterm", **nohup)
    seen = b""
    while b"iter 10/" not in seen:
        assert training.process.is_alive(), seen.decode(errors="replace")
        if select.select([main], [], [], 1)[0]:
            seen += os.read(main, 65536)
    assert os.tcgetpgrp(main) == training.pid  # which is who hears that it goes away
    os.close(side)
    os.close(main)
    if is_ignored:
        time.sleep(1)
        assert training.process.is_alive()
        training.signal(signal.SIGTERM)
    assert training.finish(60).code == (143 if is_ignored else 129)
    assert list((tmp_path / "experiments/run/training_states").glob("*.state"))
    assert record(tmp_path)[-1]["exit_code"] == training.process.exitcode


def test_closed_pipe_does_not_end_the_run(tmp_path):
    workplace(tmp_path)
    write_options(tmp_path)
    command = f"{sys.executable} {REPOSITORY / 'train.py'} -opt options.yml | head -2"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert record(tmp_path)[-1]["reason"] == "finished: 12/12"


def test_unprintable_name_does_not_end_the_run(tmp_path):
    workplace(tmp_path)
    for side in ("hr", "lr"):
        (tmp_path / "val" / side / "000.png").rename(tmp_path / "val" / side / "画像.png")
    write_options(tmp_path, {"name": "猫", "path": {"visualization": "options.yml"}, "val": {"save_img": True}})
    result = run("train.py", "-opt", "options.yml", folder=tmp_path, PYTHONIOENCODING="cp1252")
    assert result.code == 0, result.output
