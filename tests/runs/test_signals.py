"""Stop signals, killed owners and second runs."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runkit import REPOSITORY, Run, record, run, workplace, write_options

LONG = {"train": {"total_iter": 100_000}, "val": {"val_freq": 50}, "logger": {"save_checkpoint_freq": 50}}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("workers", [0, 2])
def test_signal_finishes_the_iteration_saves_and_exits(tmp_path, number, code, workers):
    workplace(tmp_path)
    write_options(tmp_path, LONG | {"datasets": {"train": {"num_worker_per_gpu": workers}}})
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    training.wait_for("iter 10/")
    training.signal(number)
    result = training.finish()
    assert result.code == code, result.output
    last = result.output.rstrip().splitlines()[-1]
    how = {signal.SIGINT: "Ctrl+C", signal.SIGTERM: "SIGTERM"}[number]
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
