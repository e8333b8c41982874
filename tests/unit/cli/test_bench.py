"""`trainner bench` as a user calls it."""

import json

import pytest
import yaml
from imagekit import write_pairs
from runkit import base_options, merged

from traiNNer.cli import bench
from traiNNer.errors import ConfigError
from traiNNer.measuring import limits


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SIDES", {True: 64})
    monkeypatch.setattr(limits, "COPIED_BYTES", {True: 2**16})
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path, 3, (20, 24), smooth=True)
    folders = {"dataroot_gt": "hr", "dataroot_lq": "lr"}
    tree = merged(base_options(), {"num_gpu": 2, "datasets": {"train": folders, "val": folders}})
    (tmp_path / "options.yml").write_text(yaml.safe_dump(tree))
    return tmp_path


def test_table_and_advice_are_printed_and_nothing_is_written(options, parsed, capsys):
    before = sorted(path.name for path in options.iterdir())
    args = parsed(bench, "bench", "-opt", "options.yml", "--seconds", "0.01")
    assert args.run(args) == 0
    said = capsys.readouterr().out
    assert "One of the 2 processes is measured, without what they tell each other." in said
    for text in ("Device: ", "backward ", "at least ms", "One validation takes"):
        assert text in said
    assert said.rstrip().splitlines()[-1].startswith(("Change first: ", "Nothing to change: "))
    assert sorted(path.name for path in options.iterdir()) == before


def test_figures_are_printed_as_json(options, parsed, capsys):
    args = parsed(bench, "bench", "-opt", "options.yml", "--seconds", "0.01", "--json", "--set", "num_gpu=0")
    assert args.run(args) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["ms"]["forward"] > 0
    assert (figures["images"], figures["gflop"] > 0) == (2, True)


def test_impossible_duration_is_refused(parsed):
    args = parsed(bench, "bench", "-opt", "x.yml", "--seconds", "0")
    with pytest.raises(ConfigError, match="from above 0 to 3600"):
        args.run(args)
