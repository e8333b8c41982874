"""`trainner init --from`: the written file, the kept one, and the list of changes."""

import argparse
from pathlib import Path

import pytest

from traiNNer.errors import ConfigError
from traiNNer.zero_config import upgrade as module
from traiNNer.zero_config.preset_change import Upgrade
from traiNNer.zero_config.upgrade import ALONE, difference, run_upgrade

DONE = Upgrade("convenience", "new text", {"train.lr": (None, 2), "val.a": (1, 3)}, {"train.total_iter": 9}, ("val.b",))


@pytest.fixture
def go(monkeypatch, tmp_path, capsys):
    """Return a function that upgrades `my.yml` and returns the requested presets and the output."""
    (tmp_path / "my.yml").write_text("old text")
    seen = []
    monkeypatch.setattr(module, "load_options", lambda *_: None)
    monkeypatch.setattr(module, "upgrade", lambda text, preset, path: seen.append((text, preset)) or DONE)

    def run(**given):
        usual = dict.fromkeys((*ALONE, "preset", "output")) | {"source": tmp_path / "my.yml", "overwrite": False}
        run_upgrade(argparse.Namespace(**usual | given))
        return seen[-1], capsys.readouterr().out

    return run


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_replaced_file_is_kept_under_a_free_name(go, tmp_path):
    (text, preset), said = go()
    assert (text, preset) == ("old text", "fidelity")
    assert files(tmp_path) == {"my.yml": "new text", "my.convenience.yml": "old text"}
    assert said.endswith(f"written: {tmp_path / 'my.yml'} (before: {tmp_path / 'my.convenience.yml'})\n")
    go()
    assert files(tmp_path)["my.convenience2.yml"] == "new text"
    assert files(tmp_path)["my.convenience.yml"] == "old text"


def test_another_file_leaves_the_old_one(go, tmp_path):
    go(output=tmp_path / "new.yml", preset="convenience")
    assert files(tmp_path) == {"my.yml": "old text", "new.yml": "new text"}
    with pytest.raises(ConfigError):
        go(output=tmp_path / "new.yml")
    (_, preset), _ = go(output=tmp_path / "new.yml", overwrite=True, preset="convenience")
    assert preset == "convenience"


def test_override_requiring_a_new_file_is_refused(go, tmp_path):
    with pytest.raises(ConfigError, match=r"--val-gt, --find-lr would need a new one"):
        go(val_gt="x", find_lr=True)
    assert files(tmp_path) == {"my.yml": "old text"}


def test_every_changed_and_kept_value_is_a_line():
    assert difference(DONE) == [
        "  train.lr          new -> 2",
        "  val.a             1 -> 3",
        "  train.total_iter  9  kept: it was not the preset's",
        "  val.b: left out, the file has no such section",
    ]
