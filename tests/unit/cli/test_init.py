"""Arguments of `trainner init`."""

from pathlib import Path

import pytest

from traiNNer.cli import init
from traiNNer.zero_config import command


def test_without_arguments_everything_is_open(parsed):
    args = parsed(init, "init")
    given = {name: value for name, value in vars(args).items() if name != "run"}
    assert given == {
        **dict.fromkeys(
            ("gt", "lq", "val_gt", "val_lq", "meta_info", "arch", "preset", "scale", "budget", "source", "recipe")
        ),
        **dict.fromkeys(("find_lr", "fresh", "overwrite"), False),
        "output": None,
    }


def test_every_argument_has_its_name_and_kind(parsed):
    args = parsed(
        init, "init", "--gt", "hr", "--lq", "lr", "--val-gt", "vh", "--val-lq", "vl", "--meta-info", "list.txt",
        "--arch", "x", "--recipe", "gan", "--preset", "fidelity", "--scale", "3", "--budget", "8h", "--find-lr",
        "--from", "old.yml", "--fresh", "--overwrite", "-o", "new.yml",
    )  # fmt: skip
    assert (args.gt, args.lq, args.val_gt, args.val_lq, args.meta_info) == ("hr", "lr", "vh", "vl", "list.txt")
    assert (args.arch, args.preset, args.scale, args.budget) == ("x", "fidelity", 3, "8h")
    assert (args.source, args.output) == (Path("old.yml"), Path("new.yml"))
    assert args.recipe == "gan"
    assert args.find_lr
    assert args.fresh
    assert args.overwrite


@pytest.mark.parametrize("wrong", [("--preset", "best"), ("--scale", "two"), ("--unknown",)])
def test_non_arguments_are_refused(parsed, wrong, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(init, "init", *wrong)
    assert end.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_arguments_are_passed_to_init(parsed, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "run_init", lambda args, begun: seen.append(args))
    args = parsed(init, "init", "--gt", "hr")
    args.run(args)
    assert seen == [args]
