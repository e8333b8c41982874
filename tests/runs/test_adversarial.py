"""A GAN as a plugin in real runs: two networks, two optimizers, exact resume."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from runkit import record, run, workplace, write_options
from safetensors import safe_open
from safetensors.torch import load_file

PLUGIN = Path(__file__).parents[1] / "data/adversarial.py"
GAN = {
    "plugins": ["adversarial.py", "killer.py"],
    "model": {"type": "patchgan", "pause_above": 0.12},
    "network_d": {"type": "PatchDiscriminator", "width": 4},
    "datasets": {"train": {"accum_iter": 2}},
    "train": {
        "optim_d": {"type": "Adam", "lr": 1e-3},
        "scheduler_d": {"type": "MultiStepLR", "milestones": [8], "gamma": 0.1},
        "ema_decay_d": 0.9,
        "grad_clip": True,
        "grad_clip_max_norm": 0.5,
        "losses": [{"type": "L1Loss"}, {"type": "KillerLoss"}],
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
FILES = ("net_g_12", "net_g_ema_12", "net_d_12", "net_d_ema_12")


def with_changes(tree, changes):
    """Return a tree of changes with further ones; a None stays, for `write_options` to remove the key."""
    result = dict(tree)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = with_changes(result[key], value) if both else value
    return result


def prepare(folder, changes=None):
    workplace(folder)
    shutil.copy(PLUGIN, folder)
    (folder / "killer.py").write_text(KILLER)
    write_options(folder, with_changes(GAN, changes or {}))
    return folder


def train(folder, *arguments, **environment):
    return run("train.py", "-opt", "options.yml", *arguments, folder=folder, **environment)


def weights(folder, name):
    return load_file(folder / f"experiments/run/models/{name}.safetensors")


def state(folder, iteration=12):
    return torch.load(folder / f"experiments/run/training_states/{iteration}.state", weights_only=True)


def lines(folder):
    return [line for line in record(folder) if line["event"] in ("train", "validation")]


def assert_same(one, other, at=""):
    """Compare nested states bitwise."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for key in one:
            assert_same(one[key], other[key], f"{at}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for place, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{at}[{place}]")
    else:
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, at


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = prepare(tmp_path_factory.mktemp("gan"))
    result = train(folder)
    assert result.code == 0, result.output
    return folder


def test_both_networks_are_trained_and_saved_with_their_ema(straight):
    for name in FILES:
        late, early = weights(straight, name), weights(straight, name.replace("12", "5"))
        assert late.keys() == early.keys()
        assert any(not torch.equal(late[key], early[key]) for key in late)
    network, average = weights(straight, "net_d_12"), weights(straight, "net_d_ema_12")
    assert any(not torch.equal(network[key], average[key]) for key in network)


@pytest.mark.parametrize("name", FILES)
def test_weights_file_describes_its_own_network(straight, name):
    with safe_open(straight / f"experiments/run/models/{name}.safetensors", "pt") as file:
        about = json.loads(file.metadata()["traiNNer"])
    assert about["role"] == name.removesuffix("_12")
    assert about["iteration"] == 12
    arch = {"net_g": "paragonsr2", "net_d": "patchdiscriminator"}[name[:5]]
    assert about["arch"] == arch
    assert about["options"].get("width") == (4 if arch == "patchdiscriminator" else None)


def test_record_keeps_the_losses_of_the_two_apart(straight):
    entries = [line for line in lines(straight) if line["event"] == "train"]
    for entry in entries:
        assert entry["loss/total"] == pytest.approx(entry["loss/l1loss"] + entry["loss/gan"], rel=1e-6)
        assert entry["grad_norm"] > 0
    trained = [entry for entry in entries if "net_d/grad_norm" in entry]
    assert all(entry["loss/net_d/real"] > 0 and entry["loss/net_d/fake"] > 0 for entry in trained)
    # With this limit the model pauses the discriminator: its optimizer has made fewer steps than there were iterations.
    steps = {name: state(straight)["learners"][name]["optimizer"]["state"][0]["step"] for name in ("net_g", "net_d")}
    assert int(steps["net_g"]) == 12
    assert 0 < int(steps["net_d"]) < 12
    assert 0 < state(straight)["model"]["lead"] < 1


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.nightly)])
def test_stopped_run_resumes_exactly(straight, tmp_path, number):
    folder = prepare(tmp_path)
    first = train(folder, KILL_AT="7", KILL_WITH=str(int(number)))
    assert first.code == (143 if number == signal.SIGTERM else -signal.SIGKILL), first.output
    result = train(folder, "--auto_resume")
    assert result.code == 0, result.output
    assert "(exact)" in result.output
    assert_same(state(folder), state(straight))
    for name in FILES:
        assert_same(weights(folder, name), weights(straight, name))
    assert lines(folder) == lines(straight)


def test_automations_act_on_the_generator(tmp_path):
    automations = {"enabled": True, "AdaptiveGradientClipping": {"enabled": True}}
    result = train(prepare(tmp_path, {"train": {"training_automations": automations, "grad_clip": None}}))
    assert result.code == 0, result.output
    knobs = json.dumps(state(tmp_path)["automations"], default=str)
    assert '"grad_clip"' in knobs
    for name in ("net_g_12", "net_d_12"):
        before = weights(tmp_path, name.replace("12", "5"))
        assert any(not torch.equal(tensor, before[key]) for key, tensor in weights(tmp_path, name).items())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": None}, "train.losses: none trains network_d"),
        ({"train": {"optim_d": None}}, "the optimizer of network_d"),
        ({"network_d": None}, "the model patchgan trains it"),
        ({"model": {"type": "restoration", "pause_above": None}}, "is not trained by the model restoration"),
    ],
)
def test_incompatible_options_are_an_option_error(tmp_path, changes, text):
    result = train(prepare(tmp_path, changes))
    assert result.code == 2, result.output
    assert text in " ".join(result.output.split())


def test_guide_shows_this_very_plugin():
    guide = (PLUGIN.parents[2] / "docs/adding_a_component.md").read_text(encoding="utf-8")
    assert f"```python\n{PLUGIN.read_text(encoding='utf-8')}```" in guide
