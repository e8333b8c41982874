"""Ranks started by `--launcher auto` and by torchrun: one that is killed ends the run, and the run resumes exactly."""

import subprocess
import sys

import pytest
import torch
from runkit import REPOSITORY, run, workplace, write_options
from safetensors.torch import load_file

from traiNNer.errors import RankLost

PLUGIN = '''
import os
import signal
from pathlib import Path

from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register()
class KillerLoss(nn.Module):
    """A loss of zero; rank 1 is killed once, in iteration 7."""

    def forward(self, output: Tensor, target: Tensor, iteration: int) -> Tensor:
        if iteration == 7 and os.environ["RANK"] == "1" and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (output - target).mean() * 0
'''
OPTIONS = {
    "plugins": ["killer.py"],
    "num_gpu": 2,
    "train": {"losses": [{"type": "L1Loss"}, {"type": "KillerLoss"}]},
    "val": {"val_freq": 12},
}


def prepare(folder):
    workplace(folder)
    (folder / "killer.py").write_text(PLUGIN)
    write_options(folder, OPTIONS)
    return folder


def launch(folder, *arguments):
    return run("train.py", "-opt", "options.yml", "--launcher", "auto", *arguments, folder=folder)


def torchrun(folder, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", *arguments]
    command += [REPOSITORY / "train.py", "-opt", "options.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def weights(folder):
    return load_file(folder / "experiments/run/models/net_g_12.safetensors")


def test_killed_rank_is_named_and_the_run_resumes(tmp_path):
    folder = prepare(tmp_path)
    alone = run("train.py", "-opt", "options.yml", folder=folder)
    assert alone.code == 2
    assert "num_gpu: 2 needs one process per device" in alone.output
    result = launch(folder)
    assert result.code == RankLost.exit_code, result.output
    assert "Another rank ended or cannot be reached (" in result.output
    assert "stopped: a rank was lost at 6/12" in result.output
    assert "rank 1 was killed by SIGKILL; the other ranks were ended." in result.output
    assert "Internal error" not in result.output
    result = launch(folder, "--auto_resume")
    assert result.code == 0, result.output
    assert "Resuming run at iteration 5 (exact)." in result.output


@pytest.mark.nightly
def test_run_resumes_exactly_when_torchrun_starts_it_again(tmp_path):
    straight, folder = prepare(tmp_path / "straight"), prepare(tmp_path / "restarted")
    (straight / "killed").touch()
    assert launch(straight).code == 0
    result = torchrun(folder, "--max-restarts", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Resuming run at iteration 5 (exact)." in result.stdout
    assert (folder / "killed").exists()
    expected = weights(straight)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(folder).items())
