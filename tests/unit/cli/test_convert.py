"""Arguments of `trainner convert`, its report and its exit codes."""

import pytest

from traiNNer.cli.main import main

TOML = """\
name = "small"
scale = 2
[datasets.train]
type = "paired"
dataroot_gt = 'data/hr'
dataroot_lq = 'data/lr'
patch_size = 16
[datasets.val]
type = "paired"
dataroot_gt = 'val/hr'
dataroot_lq = 'val/lr'
[network_g]
type = "compact"
[train]
theirs = "fsam"
[train.optim_g]
type = "AdamW"
[train.pixel_opt]
type = "L1Loss"
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "their.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def test_reports_every_change(source, tmp_path, capsys):
    target = tmp_path / "my.yml"
    assert main(["convert", str(source), "-o", str(target)]) == 0
    said = capsys.readouterr().out
    assert "Changed:\n  datasets.train.patch_size -> datasets.train.lq_size\n" in said
    assert "Left out:\n  train.theirs = fsam: unknown option\n" in said
    assert f"Written: {target}." in said
    assert "train.theirs" in target.read_text(encoding="utf-8")


def test_what_is_to_be_corrected_is_exit_2_and_written_all_the_same(source, tmp_path, capsys):
    source.write_text(TOML.replace('"compact"', '"their_net"'), encoding="utf-8")
    target = tmp_path / "my.yml"
    assert main(["convert", str(source), "-o", str(target)]) == 2
    assert "network_g.type = their_net" in capsys.readouterr().err
    assert "their_net" in target.read_text(encoding="utf-8")


def test_another_file_is_replaced_only_on_demand(source, tmp_path, capsys):
    target = tmp_path / "my.yml"
    target.write_text("mine", encoding="utf-8")
    assert main(["convert", str(source), "-o", str(target)]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["convert", str(source), "-o", str(target), "--overwrite"]) == 0
    assert target.read_text(encoding="utf-8") != "mine"
