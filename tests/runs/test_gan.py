"""A GAN of the built-in parts in real runs: both networks learn, and a stopped run resumes exactly."""

import signal

import pytest
import torch
from runkit import record, run, workplace, write_options
from safetensors.torch import load_file

GAN = {
    "plugins": ["killer.py"],
    "model": {"type": "adversarial", "pause_d_above": 0.4995},
    "network_g": {"type": "paragonsr2_nano"},  # the share above which the discriminator pauses was chosen for it
    "network_d": {"type": "unetdiscriminatorsn", "num_feat": 4},
    "datasets": {"train": {"accum_iter": 2}},
    "train": {
        "optim_d": {"type": "AdamW", "lr": 1e-3},
        "losses": [
            {"type": "L1Loss"},
            {"type": "ganloss", "loss_weight": 0.05, "r1_weight": 0.1, "penalty_interval": 3},
            {"type": "featurematchingloss", "loss_weight": 0.1},
            {"type": "KillerLoss"},
        ],
    },
}
KILLER = '''
import os

from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register()
class KillerLoss(nn.Module):
    """A loss of zero that sends the signal KILL_WITH to its own process in iteration KILL_AT."""

    def forward(self, output: Tensor, target: Tensor, iteration: int) -> Tensor:
        if iteration == int(os.environ.get("KILL_AT", "-1")):
            os.kill(os.getpid(), int(os.environ["KILL_WITH"]))
        return (output - target).mean() * 0
'''


def prepare(folder, changes=GAN):
    workplace(folder)
    (folder / "killer.py").write_text(KILLER)
    write_options(folder, changes)
    return folder


def train(folder, *arguments, **environment):
    return run("train.py", "-opt", "options.yml", *arguments, folder=folder, **environment)


def weights(folder, name):
    return load_file(folder / f"experiments/run/models/{name}.safetensors")


def model_state(folder):
    state = torch.load(folder / "experiments/run/training_states/12.state", weights_only=True)
    return state["model"] | {"steps": int(state["learners"]["net_d"]["optimizer"]["state"][0]["step"])}


def lines(folder):
    return [line for line in record(folder) if line["event"] in ("train", "validation")]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = prepare(tmp_path_factory.mktemp("gan"))
    result = train(folder)
    assert result.code == 0, result.output
    return folder


def test_both_networks_learn_and_the_log_shows_how(straight):
    for name in ("net_g", "net_d"):
        late, early = weights(straight, f"{name}_12"), weights(straight, f"{name}_5")
        assert any(not torch.equal(late[key], early[key]) for key in late)
    assert not (straight / "experiments/run/models/net_d_ema_12.safetensors").exists()
    entries = [line for line in lines(straight) if line["event"] == "train"]
    for entry in entries:
        assert {"loss/l1loss", "loss/ganloss", "loss/featurematchingloss", "net_d/accuracy"} <= set(entry)
        assert 0 <= entry["net_d/accuracy"] <= 1
    assert any("loss/net_d/r1" in entry for entry in entries)
    assert any("loss/net_d/real" in entry for entry in entries)


def test_discriminator_that_is_right_too_often_pauses(straight):
    state = model_state(straight)
    assert 0 < state["steps"] < 12
    assert 0 < state["accuracy"] < 1


def test_health_is_in_the_record(straight):
    for entry in (line for line in lines(straight) if line["event"] == "train"):
        shares = {name: value for name, value in entry.items() if name.startswith("share/")}
        assert set(shares) == {"share/l1loss", "share/ganloss", "share/featurematchingloss", "share/killerloss"}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert min(shares["share/l1loss"], shares["share/ganloss"], shares["share/featurematchingloss"]) > 0
    for entry in (line for line in lines(straight) if line["event"] == "validation"):
        assert {"val/val/drift_color", "val/val/drift_lowpass", "val/val/detail_ratio"} <= set(entry)
    assert not list((straight / "experiments/run/models").glob("*best_d*"))


def test_half_precision_and_another_kind_of_gan(tmp_path):
    changes = {
        "plugins": None,
        "use_amp": True,
        "amp_bf16": True,
        "network_d": {"type": "metagan3", "dims": [8, 16], "blocks": [1]},
        "datasets": {"train": {"lq_size": 16}},
        "train": {
            "total_iter": 4,
            "ema_decay_d": 0.9,
            "optim_d": {"type": "AdamW", "lr": 1e-3},
            "losses": [
                {"type": "L1Loss"},
                {"type": "ganloss", "gan_type": "r3gan", "r1_weight": 1.0, "r2_weight": 1.0, "penalty_interval": 2},
            ],
        },
    }
    workplace(tmp_path)
    write_options(tmp_path, changes)
    result = train(tmp_path)
    assert result.code == 0, result.output
    last = [line for line in lines(tmp_path) if line["event"] == "train"][-1]
    assert last["loss/net_d/r1"] > 0
    assert last["loss/net_d/r2"] > 0
    assert last["loss/net_d/gan"] > 0
    assert (tmp_path / "experiments/run/models/net_d_ema_4.safetensors").exists()


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.nightly), signal.SIGKILL])
def test_stopped_run_resumes_exactly(straight, tmp_path, number):
    folder = prepare(tmp_path)
    first = train(folder, KILL_AT="7", KILL_WITH=str(int(number)))
    assert first.code == (143 if number == signal.SIGTERM else -signal.SIGKILL), first.output
    result = train(folder, "--auto_resume")
    assert result.code == 0, result.output
    assert "(exact)" in result.output
    assert model_state(folder) == model_state(straight)
    for name in ("net_g_12", "net_g_ema_12", "net_d_12"):
        kept = weights(straight, name)
        assert all(torch.equal(tensor, kept[key]) for key, tensor in weights(folder, name).items())
    assert lines(folder) == lines(straight)
