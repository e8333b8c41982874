"""Arguments of `trainner options`, and the file that they make."""

import pytest
import yaml

from traiNNer.cli.main import main

BASE = ("options", "--arch", "compact", "--recipe", "fidelity", "-o")


def test_writes_the_file_and_says_what_to_do_next(tmp_path, capsys):
    path = tmp_path / "my.yml"
    more = ("--scale", "3", "--gt", "a b", "--lq", "lr", "--val-gt", "vh", "--val-lq", "vl")
    assert main([*BASE, str(path), *more]) == 0
    assert f"trainner train -opt {path} --check" in capsys.readouterr().out
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=file:///")
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    train, val = tree["datasets"]["train"], tree["datasets"]["val"]
    assert (tree["scale"], train["dataroot_gt"], train["dataroot_lq"]) == (3, "a b", "lr")
    assert (val["dataroot_gt"], val["dataroot_lq"]) == ("vh", "vl")


def test_weights_of_a_finetuning(tmp_path):
    path = tmp_path / "my.yml"
    arguments = ("options", "--arch", "compact", "--recipe", "finetune", "--weights", "x.pth", "-o", str(path))
    assert main(arguments) == 0
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["path"] == {"pretrain_network_g": "x.pth"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "real"), "--recipe real: no such recipe"),
        (("--arch", "nothing_like_it"), "no such arch"),
        (("--weights", "x.pth"), "--weights: only the recipe finetune begins with weights"),
    ],
)
def test_what_cannot_be_written_is_exit_2(tmp_path, capsys, arguments, message):
    path = tmp_path / "my.yml"
    assert main([*BASE, str(path), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not path.exists()


def test_a_file_is_replaced_only_on_demand(tmp_path, capsys):
    path = tmp_path / "my.yml"
    path.write_text("mine", encoding="utf-8")
    assert main([*BASE, str(path)]) == 2
    assert "exists" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "mine"
    assert main([*BASE, str(path), "--overwrite"]) == 0
