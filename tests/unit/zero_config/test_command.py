"""`trainner init` as a user sees it."""

import argparse

import pytest
import yaml
from imagekit import numbers, write_pairs, write_png

from traiNNer import cli
from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.config.stages import load_stages
from traiNNer.errors import ConfigError
from traiNNer.zero_config import command


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def init(*arguments) -> int:
    return cli.main(["init", *map(str, arguments)])


@pytest.mark.parametrize("preset", ["convenience", "fidelity"])
def test_file_loads_and_every_decision_has_its_reason(photos, measured, capsys, preset):
    assert init("--gt", photos / "hr", "--lq", photos / "lr", "--preset", preset, "-o", "a.yml") == 0
    loaded = load_options(photos.parent / "a.yml", TrainOptions)
    assert loaded.options.scale == 2
    text = (photos.parent / "a.yml").read_text()
    assert "use_amp: true                                 # measured: 1.70 times as fast" in text
    assert "# crops per micro-batch, tested: 2.0 of 16.0 GB" in text
    assert "the sizes of all 12 pairs say so" in text
    out = capsys.readouterr().out
    assert "12 images (140x120), scale 2; 3 are held out for validation" in out
    assert "Next: trainner train -opt a.yml" in out
    assert "\n# yaml-language-server: $schema=file:///" in text


def test_plan_is_printed_and_written_to_the_file(photos, measured, capsys):
    assert init("--gt", photos / "hr", "--budget", "30m") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("compact"))
    assert line.startswith("compact 2x on 9 photos: 10.0 it/s, 16,800 iterations in 29 min")
    assert "measuring took" in line
    text = (photos.parent / "my.yml").read_text()
    assert f"# {line}" in text
    assert 'end_at: "1798s"' in text
    assert "lr: 0.005" in text


def test_learning_rates_are_tried_on_request(photos, measured, capsys):
    assert init("--gt", photos / "hr", "--arch", "paragonsr2_nano", "--find-lr") == 0
    text = (photos.parent / "my.yml").read_text()
    assert "lr: 0.004" in text
    assert "best of 3 after 40 iterations: 27.00 dB (0.008: 26.50)" in text


def test_command_in_the_file_makes_the_same_file(photos, measured, tmp_path):
    assert init("--gt", photos / "hr", "--scale", 2, "--budget", "90m", "-o", "a.yml") == 0
    first = (tmp_path / "a.yml").read_text().splitlines()[0]
    assert first.startswith("# Made by: trainner init --gt ")
    assert "--budget 5400s" in first
    assert "--scale 2" in first


def test_gan_recipe_adds_a_stage_without_automations_that_watch_psnr(photos, measured, tmp_path):
    assert init("--gt", photos / "hr", "--lq", photos / "lr", "--recipe", "gan", "-o", "a.yml") == 0
    assert "--recipe gan" in (tmp_path / "a.yml").read_text().splitlines()[0]
    first, second = (stage.loaded.options for stage in load_stages(tmp_path / "a.yml"))
    assert (first.network_d, first.train.total_iter, second.train.total_iter) == (None, 40_000, 20_000)
    assert second.network_d is not None
    assert second.train.optim_g.get("lr") < first.train.optim_g.get("lr")

    def active(options):
        return set(options.train.training_automations.active())

    off = {"IntelligentLearningRateScheduler", "IntelligentEarlyStopping", "DynamicLossScheduling"}
    assert active(first) - active(second) == {name for name in active(first) if name in off}
    assert active(first) > active(second) > set()


def test_existing_file_is_not_overwritten(photos, measured, capsys):
    (photos.parent / "my.yml").write_text("mine")
    assert init("--gt", photos / "hr") == 2
    assert "my.yml exists" in capsys.readouterr().err
    assert (photos.parent / "my.yml").read_text() == "mine"
    assert not measured
    assert init("--gt", photos / "hr", "--overwrite") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--gt", "none"], 3, "no such folder"),
        (["--gt", "photos/hr", "--arch", "paragon"], 2, "did you mean"),
        (["--gt", "photos/hr", "--budget", "soon"], 2, "not a duration"),
        (["--gt", "photos/hr", "--budget", "3s"], 2, "too short to get above bicubic"),
        (["--gt", "photos/lr", "--lq", "photos/hr"], 3, "are swapped"),
        (["--gt", "photos/hr", "-o", "a.txt"], 2, "ends in .yml"),
        (["--gt", "photos/hr", "--meta-info", "none.txt"], 3, "no such file"),
        (["--gt", "photos/hr", "--recipe", "gan", "--budget", "1h"], 2, "no common end by the clock"),
        ([], 2, "needs --gt"),
    ],
)
def test_bad_input_exits_with_its_code_and_writes_nothing(photos, measured, capsys, tmp_path, arguments, code, said):
    before = sorted(tmp_path.iterdir())
    assert init(*arguments) == code
    assert said in capsys.readouterr().err
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "cache"] == [
        path for path in before if path.name != "cache"
    ]


def test_special_characters_in_names_keep_header_and_yaml_valid(tmp_path, measured):
    write_pairs(tmp_path / "a # b\nscale: 9", 9, (70, 70), smooth=True)
    folder = tmp_path / "a # b\nscale: 9" / "hr"
    assert init("--gt", folder, "-o", "a.yml") == 0
    tree = yaml.safe_load((tmp_path / "a.yml").read_text(encoding="utf-8"))
    assert tree["scale"] == 2
    assert tree["datasets"]["train"]["dataroot_gt"] == str(folder)


def test_header_findings_are_reported(tmp_path, measured, capsys):
    write_pairs(tmp_path / "p", 9, (70, 70), smooth=True)
    write_png(tmp_path / "p/hr/gray.png", numbers(140, 140, 1))
    assert init("--gt", tmp_path / "p/hr", "-o", "a.yml") == 0
    assert "1 gray images. Nothing: gray becomes three equal channels." in capsys.readouterr().out


# Questions


@pytest.fixture(autouse=True)
def _with_folders(tmp_path):
    for name in ("large", "small"):
        (tmp_path / name).mkdir()


def asked(answers, **given):
    questions = []

    def answer(question, otherwise):
        questions.append(question)
        return answers[len(questions) - 1] or otherwise

    args = argparse.Namespace(**{"gt": None, "lq": None, "scale": None, "preset": None, "budget": None, **given})
    command._ask(args, answer)
    return args, questions


def test_four_questions():
    args, questions = asked(["large", "", "3", "30m"])
    assert len(questions) == 4
    assert (args.gt, args.lq, args.scale, args.preset, args.budget) == ("large", None, 3, "convenience", "30m")


def test_scale_is_not_asked_with_small_images():
    args, questions = asked(["large", "small", "best"])
    assert len(questions) == 3
    assert (args.lq, args.scale, args.preset, args.budget) == ("small", None, "fidelity", None)


def test_wrong_answers_are_asked_again(capsys):
    answers = ["larg", "large", "smal", "", "twice", "3", "soon", "30m"]
    args, questions = asked(answers)
    assert (args.gt, args.lq, args.scale, args.budget) == ("large", None, 3, "30m")
    assert [questions.count(question) for question in dict.fromkeys(questions)] == [2, 2, 2, 2]
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("larg: no such folder; nearest: ")
    assert told[1].startswith("smal: no such folder; nearest: ")
    assert told[2] == "'twice' is not a scale. Use 2, 3 or 4."
    assert told[3] == "soon: not a duration. Write 90s, 30m, 8h, 1h30m or 2d."


def test_no_run_without_a_folder():
    with pytest.raises(ConfigError, match="nothing to train on"):
        asked([""])


def test_swapped_folders_are_swapped_on_yes(photos, measured, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    monkeypatch.setattr(command, "_answer", lambda *_: "y")
    assert init("--gt", photos / "lr", "--lq", photos / "hr", "-o", "a.yml") == 0
    train = yaml.safe_load((tmp_path / "a.yml").read_text())["datasets"]["train"]
    assert (train["dataroot_gt"], train["dataroot_lq"]) == (str(photos / "hr"), str(photos / "lr"))


def test_swapped_folders_are_refused_on_no(photos, measured, monkeypatch):
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    monkeypatch.setattr(command, "_answer", lambda *_: "n")
    assert init("--gt", photos / "lr", "--lq", photos / "hr", "-o", "a.yml") == 3


# --from


def test_from_upgrades_in_place_and_keeps_the_old_file(photos, measured, capsys, tmp_path):
    assert init("--gt", photos / "hr") == 0
    before = (tmp_path / "my.yml").read_text()
    capsys.readouterr()
    assert init("--from", "my.yml", "--preset", "fidelity") == 0
    out = capsys.readouterr().out
    assert "train.total_iter" in out
    assert "40000 -> 80000" in out
    assert (tmp_path / "my.convenience.yml").read_text() == before
    options = load_options(tmp_path / "my.yml", TrainOptions).options
    assert (options.train.total_iter, options.val.val_freq) == (80_000, 500)
    assert options.name.endswith("_fidelity")


def test_from_with_an_output_leaves_the_source(photos, measured, tmp_path):
    assert init("--gt", photos / "hr") == 0
    before = (tmp_path / "my.yml").read_text()
    assert init("--from", "my.yml", "--preset", "fidelity", "-o", "best.yml") == 0
    assert (tmp_path / "my.yml").read_text() == before
    assert load_options(tmp_path / "best.yml", TrainOptions).options.train.total_iter == 80_000


def test_from_with_folders_is_refused(photos, measured, capsys, tmp_path):
    assert init("--gt", photos / "hr") == 0
    assert init("--from", "my.yml", "--gt", photos / "hr") == 2
    assert "--gt would need a new one" in capsys.readouterr().err
