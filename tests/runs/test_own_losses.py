"""A plugin's loss that asks for more than output and target, in a real run."""

import re

import pytest
import torch
from runkit import record, run, workplace, write_options
from safetensors.torch import load_file

LOSS = '''
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from traiNNer.registry import LOSSES


@LOSSES.register()
class AskingLoss(nn.Module):
    """Keeps the output near its LQ and its average, and counts."""

    def forward(self, lq: Tensor, output: Tensor, output_ema: Tensor, iteration: int) -> Tensor:
        assert not output_ema.requires_grad
        near = (avg_pool2d(output, 2) - lq).abs().mean() + (output - output_ema).abs().mean()
        return near * 0 + output.mean() * 0 + iteration
'''


def asking(folder, **train):
    (workplace(folder) / "asking.py").write_text(LOSS)
    losses = [{"type": "L1Loss"}, {"type": "AskingLoss"}]
    write_options(folder, {"plugins": ["asking.py"], "train": {"losses": losses, **train}})
    return run("train.py", "-opt", "options.yml", folder=folder)


def test_model_gets_lq_ema_and_iteration(tmp_path):
    result = asking(tmp_path, ema_decay=0.9)
    assert result.code == 0, result.output
    lines = [line for line in record(tmp_path) if "loss/askingloss" in line]
    ends = [line["iter"] for line in lines]
    # Each line is the mean over the iterations since the one before; the loss is the number of the iteration.
    means = [(before + 1 + end) / 2 for before, end in zip([0, *ends], ends, strict=False)]
    assert ends[-1] == 12
    assert [line["loss/askingloss"] for line in lines] == means


def test_option_requiring_ema_is_refused_without_ema(tmp_path):
    result = asking(tmp_path, ema_decay=0)
    assert result.code == 2, result.output
    assert "askingloss asks for 'output_ema', and there is none: set train.ema_decay above 0" in result.output


FAILING = """
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from traiNNer.registry import LOSSES, METRICS


class Count:
    losses = scores = 0


@LOSSES.register()
class Shaky(nn.Module):
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        noise = torch.rand(())
        Count.losses += 1
        if Path("fails").exists() and Count.losses == {losses}:
            raise ZeroDivisionError("division by zero")
        return (output - target).abs().mean() * (1 + noise)


@METRICS.register()
class Score:
    direction = "higher"
    needs_target = True

    def __call__(self, output: np.ndarray, target: np.ndarray | None) -> float:
        Count.scores += 1
        if Path("fails").exists() and Count.scores == {scores}:
            raise IndexError("list index out of range")
        return 1.0
"""


@pytest.mark.parametrize(("losses", "scores"), [(17, 0), (0, 7)])
def test_what_was_trained_is_saved_when_code_of_a_plugin_fails(tmp_path, losses, scores):
    workplace(tmp_path)
    (tmp_path / "shaky.py").write_text(FAILING.format(losses=losses, scores=scores))
    train = {"losses": [{"type": "Shaky"}]}
    changes = {"plugins": ["shaky.py"], "train": train, "val": {"metrics": {"score": {}}}}
    changes |= {"datasets": {"train": {"accum_iter": 2}}, "logger": {"save_checkpoint_freq": 5}}
    write_options(tmp_path, changes | {"name": "whole"}, "whole.yml")
    write_options(tmp_path, changes)
    assert run("train.py", "-opt", "whole.yml", folder=tmp_path).code == 0
    (tmp_path / "fails").touch()
    failed = run("train.py", "-opt", "options.yml", folder=tmp_path)
    assert failed.code == 2, failed.output
    assert re.search(r"shaky\.py line \d+: .*A plugin raised this: repair it there", failed.output), failed.output
    states = {int(path.stem) for path in (tmp_path / "experiments/run/training_states").glob("[0-9]*.json")}
    saved = max(states)
    assert saved not in (5, 10, 12), "a save that was due anyway"
    assert f"Iteration {saved} was saved; --auto_resume continues from there." in failed.output
    (tmp_path / "fails").unlink()
    resumed = run("train.py", "-opt", "options.yml", "--auto_resume", folder=tmp_path)
    assert f"Resuming run at iteration {saved} (exact)" in resumed.output, resumed.output
    ends = [load_file(tmp_path / f"experiments/{name}/models/net_g_12.safetensors") for name in ("run", "whole")]
    assert all(torch.equal(tensor, ends[1][key]) for key, tensor in ends[0].items())
