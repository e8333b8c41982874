"""A fidelity stage and a GAN stage from one option file: trained, stopped early, interrupted, resumed."""

import json
import shutil

import pytest
import torch
from runkit import ranks, record, run, workplace, write_options
from safetensors.torch import load_file

from traiNNer.run.stages import RECORD

PLUGIN = '''
import os

from torch import Tensor, nn

from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Stop
from traiNNer.registry import AUTOMATIONS, LOSSES


@LOSSES.register()
class KillerLoss(nn.Module):
    """A loss of zero that ends its own process in an iteration of a stage: KILL_AT = "gan 5"."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, output: Tensor, target: Tensor, iteration: int) -> Tensor:
        if os.environ.get("KILL_AT") == f"{self.stage} {iteration}":
            os.kill(os.getpid(), 15)
        return (output - target).mean() * 0


@AUTOMATIONS.register(name="StopAtEight")
class StopAtEight(Automation):
    """Ends a run after eight iterations."""

    every = 8

    def on_window(self, event):
        yield Stop("enough")
'''
STAGES = {
    "plugins": ["plugin.py"],
    "train": {"ema_decay": 0.5},
    "stages": [
        {
            "name": "fidelity",
            "train": {
                "losses": [{"type": "L1Loss"}, {"type": "KillerLoss", "stage": "fidelity"}],
                "training_automations": {"enabled": True, "StopAtEight": {"enabled": True}},
            },
        },
        {
            "name": "gan",
            "network_d": {"type": "patchgandiscriminatorsn", "ndf": 4, "n_layers": 1},
            "train": {
                "total_iter": 6,
                "scheduler": None,
                "optim_d": {"type": "AdamW", "lr": 1e-3},
                "losses": [
                    {"type": "L1Loss"},
                    {"type": "ganloss", "loss_weight": 0.1},
                    {"type": "KillerLoss", "stage": "gan"},
                ],
            },
        },
    ],
}


def prepare(folder):
    workplace(folder)
    (folder / "plugin.py").write_text(PLUGIN)
    write_options(folder, STAGES)
    return folder


def train(folder, *arguments, **environment):
    return run("train.py", "-opt", "options.yml", *arguments, folder=folder, **environment)


def weights(folder, stage, name):
    return load_file(folder / f"experiments/run/{stage}/models/{name}.safetensors")


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = prepare(tmp_path_factory.mktemp("stages"))
    result = train(folder)
    assert result.code == 0, result.output
    return folder, result.output


def test_second_stage_starts_from_the_best_weights_of_the_first(straight):
    folder, output = straight
    assert output.startswith("Stage 1 of 2: fidelity")  # the check of the second stage says nothing
    assert "finished: 8/12 (stopped early: enough)" in output
    assert "Stage 2 of 2: gan" in output
    assert "fidelity/models/net_g_best_psnr.safetensors: " in output
    assert output.count("Next: trainner upscale -m ") == 1
    assert "trainner upscale -m experiments/run/gan/models/net_g_best_psnr.safetensors" in output
    assert json.loads((folder / "experiments/run" / RECORD).read_text()) == {"finished": ["fidelity", "gan"]}
    assert (folder / "experiments/run/gan/models/net_d_6.safetensors").exists()
    assert not list((folder / "experiments/run/fidelity/models").glob("net_d*"))


def test_each_stage_has_a_record(straight):
    folder, _ = straight
    fidelity, gan = (record(folder, f"run/{stage}") for stage in ("fidelity", "gan"))
    assert [(lines[-1]["event"], lines[-1]["iter"]) for lines in (fidelity, gan)] == [
        ("run_finished", 8),
        ("run_finished", 6),
    ]
    assert any("loss/ganloss" in line for line in gan)
    assert not any("loss/ganloss" in line for line in fidelity)


@pytest.mark.parametrize(("stage", "iteration"), [("fidelity", 5), ("gan", 3)])
def test_stopped_run_continues_in_its_stage_and_ends_the_same(straight, tmp_path, stage, iteration):
    folder, _ = straight
    if stage == "fidelity":
        prepare(tmp_path)
    else:
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
        shutil.rmtree(tmp_path / "experiments/run/gan")
        (tmp_path / "experiments/run" / RECORD).write_text(json.dumps({"finished": ["fidelity"]}))
    first = train(tmp_path, *(["--auto_resume"] if stage == "gan" else []), KILL_AT=f"{stage} {iteration}")
    assert first.code == 143, first.output
    result = train(tmp_path, "--auto_resume")
    assert result.code == 0, result.output
    assert "(exact)" in result.output
    assert "there is no run in" not in result.output
    assert ("Stage fidelity is finished." in result.output) == (stage == "gan")
    for part, name in (("fidelity", "net_g_best_psnr"), ("gan", "net_g_6"), ("gan", "net_d_6")):
        one, other = weights(tmp_path, part, name), weights(folder, part, name)
        assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())


def test_finished_run_has_nothing_left(straight):
    folder, _ = straight
    result = train(folder, "--auto_resume")
    assert result.code == 0
    assert "every stage was (nothing left to do" in result.output


def test_all_stages_are_checked_without_training(tmp_path):
    result = train(prepare(tmp_path), "--check")
    assert result.code == 0, result.output
    assert "Stage fidelity:" in result.output
    assert "Stage gan:" in result.output
    assert not (tmp_path / "experiments").exists()


def test_later_stage_that_cannot_be_trained_is_found_before_the_first_one(tmp_path):
    wrong = "stages.gan.network_d={type: vggstylediscriminator, num_feat: 4, input_size: 64}"
    result = train(prepare(tmp_path), "--set", wrong)
    assert result.code == 2, result.output
    assert "input_size is 64, but the images have 24 x 24 pixels" in result.output
    assert not (tmp_path / "experiments").exists()


def test_best_weights_need_a_validation(tmp_path):
    prepare(tmp_path)
    result = train(tmp_path, "--set", "stages.fidelity.val.val_enabled=false", "--check")
    assert result.code == 2
    assert "Stage gan starts from the best weights of fidelity, which has no validation" in result.output


def test_two_ranks_train_every_stage(tmp_path):
    folder = prepare(tmp_path)
    results = [process.finish() for process in ranks(folder)]
    assert [result.code for result in results] == [0, 0], results[0].output
    assert json.loads((folder / "experiments/run" / RECORD).read_text()) == {"finished": ["fidelity", "gan"]}
    results = [process.finish() for process in ranks(folder)]
    assert [result.code for result in results] == [0, 0], results[0].output
    assert "Stage gan is finished." in results[0].output
