"""A plugin model is tried before the run: its errors exit with code 2 and its line."""

import shutil
from pathlib import Path

import pytest
from runkit import run, workplace, write_options

PLUGIN = Path(__file__).parents[1] / "data/adversarial.py"
CHANGES = {
    "plugins": ["adversarial.py"],
    "model": "patchgan",
    "network_d": {"type": "PatchDiscriminator"},
    "train": {"optim_d": {"type": "Adam", "lr": 1e-3}},
}


@pytest.fixture
def place(tmp_path):
    workplace(tmp_path)
    shutil.copy(PLUGIN, tmp_path / "adversarial.py")
    write_options(tmp_path, CHANGES)
    return tmp_path


def check(place, old, new):
    text = PLUGIN.read_text()
    assert old in text
    (place / "adversarial.py").write_text(text.replace(old, new))
    return run("train.py", "-opt", "options.yml", "--check", folder=place)


def test_valid_model_passes_without_side_effects(place):
    result = run("train.py", "-opt", "options.yml", "--check", folder=place)
    assert result.code == 0, result.output
    assert "checked: options, data and shapes are in order" in result.output
    assert not (place / "experiments").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"net_d")\n            right', '"net_x")\n            right', "a phase trains 'net_x'; known: net_g, net_d"),
        ("self.generator(batch.lq)", "self.generator(batch.lq).detach()", "net_g have no gradient for its"),
        ("nn.Conv2d(3, width, 3, 2, 1)", "nn.Conv2d(4, width, 3, 2, 1)", "(adversarial.py line "),
        (
            "self.gan_weight *",
            "self.gan_wait *",
            "object has no attribute 'gan_wait'",
        ),
    ],
)
def test_problems_are_reported_before_the_run(place, old, new, message):
    result = check(place, old, new)
    assert result.code == 2, result.output
    assert message in result.output
    assert "model: patchgan" in result.output
    assert "Traceback" not in result.output
