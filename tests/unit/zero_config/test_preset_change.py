"""The other preset for an existing file: only values of the preset change."""

from pathlib import Path

import pytest
import yaml

import traiNNer.run.build  # noqa: F401 - registers every component
from traiNNer.errors import ConfigError
from traiNNer.zero_config.draft import Draft
from traiNNer.zero_config.preset_change import upgrade
from traiNNer.zero_config.presets import VALUES, preset_values

PATH = Path("my.yml")


def text(preset="convenience", **changes) -> str:
    made = Draft()
    made.decide("name", "run" if preset == "convenience" else "run_fidelity", "its folder")
    made.decide("scale", 2)
    for section in ("train", "val"):
        made.decide(f"datasets.{section}.type", "PairedImageDataset")
        made.decide(f"datasets.{section}.dataroot_gt", "hr")
        made.decide(f"datasets.{section}.dataroot_lq", "lr")
    made.decide("datasets.train.lq_size", 48)
    made.decide("network_g.type", "paragonsr2_nano")
    made.decide("train.grad_clip", True)
    made.decide("train.optim_g.type", "AdamW")
    made.decide("train.losses", [{"type": "L1Loss"}])
    for key, (value, reason) in preset_values(preset).items():
        made.decide(key, changes.get(key.replace(".", "__"), value), reason)
    made.decide("val.metrics.psnr", {})
    return f"# Made by: trainner init --gt hr --preset {preset} -o my.yml\n" + made.yaml()


def value(tree, key):
    for part in key.split("."):
        tree = tree[part]
    return tree


def test_every_value_of_the_preset_changes_and_nothing_else():
    done = upgrade(text(), "fidelity", PATH)
    before, after = yaml.safe_load(text()), yaml.safe_load(done.text)
    for key, (_, wanted, _) in VALUES.items():
        assert value(after, key) == wanted
    assert after["name"] == "run_fidelity"
    assert before["datasets"] == after["datasets"]
    assert done.changed["train.total_iter"] == (40_000, 80_000)
    assert not done.kept
    assert not done.left_out


def test_comments_and_places_stay():
    before, after = text().splitlines(), upgrade(text(), "fidelity", PATH).text.splitlines()
    assert len(before) == len(after)
    assert [line.partition("# ")[2] for line in before[1:]] == [line.partition("# ")[2] for line in after[1:]]
    assert after[0] == "# Made by: trainner init --gt hr --preset fidelity -o my.yml"


def test_text_round_trips():
    there = upgrade(text(), "fidelity", PATH).text
    assert upgrade(there, "convenience", PATH).text == text()


def test_user_changes_are_kept():
    edited = text(train__total_iter=10_900, train__optim_g__lr=4e-3)
    done = upgrade(edited, "fidelity", PATH)
    tree = yaml.safe_load(done.text)
    assert tree["train"]["total_iter"] == 10_900
    assert tree["train"]["optim_g"]["lr"] == 4e-3
    assert done.kept == {"train.total_iter": 10_900, "train.optim_g.lr": 4e-3}
    assert tree["train"]["warmup_iter"] == 2000


def test_deleted_line_is_restored_with_the_new_value():
    lines = [line for line in text().splitlines() if "warmup_iter" not in line and "weight_decay" not in line]
    done = upgrade("\n".join(lines), "fidelity", PATH)
    tree = yaml.safe_load(done.text)
    assert tree["train"]["warmup_iter"] == 2000
    assert tree["train"]["optim_g"]["weight_decay"] == 5e-5
    assert done.changed["train.warmup_iter"] == (None, 2000)


def test_deleted_section_stays_deleted():
    lines = text().splitlines()
    start = next(place for place, line in enumerate(lines) if "IntelligentEarlyStopping:" in line)
    end = next(place for place in range(start + 1, len(lines)) if not lines[place].startswith("      "))
    done = upgrade("\n".join(lines[:start] + lines[end:]), "fidelity", PATH)
    assert "IntelligentEarlyStopping" not in done.text
    assert "train.training_automations.IntelligentEarlyStopping.patience" in done.left_out


def test_file_of_that_preset_is_refused():
    with pytest.raises(ConfigError, match="a file of the preset fidelity already"):
        upgrade(text("fidelity"), "fidelity", PATH)


def test_foreign_file_is_refused():
    other = "name: a\nscale: 2\ntrain:\n  total_iter: 1000\n  optim_g: {type: AdamW, lr: 1e-3}\n"
    with pytest.raises(ConfigError, match=r"is not a file that `trainner init` made"):
        upgrade(other, "fidelity", PATH)


def test_value_within_braces_is_reported_with_its_line():
    lines = text().splitlines()
    start = next(place for place, line in enumerate(lines) if "optim_g:" in line)
    flow = [*lines[:start], "  optim_g: {type: AdamW, lr: 2e-4, weight_decay: 1e-4}"]
    end = next(place for place in range(start + 1, len(lines)) if not lines[place].startswith("    "))
    with pytest.raises(ConfigError, match=rf"line {start + 1}: train\.optim_g\.lr cannot be replaced"):
        upgrade("\n".join(flow + lines[end:]), "fidelity", PATH)
