import pytest
from reportkit import event, write

from traiNNer.cli import main
from traiNNer.errors import ConfigError
from traiNNer.report.compare import grouped, sheets
from traiNNer.report.record import read_record


def resolved(name, seed, rate=0.001, extra=""):
    return f"""\
name: {name}  # file line 1
manual_seed: {seed}  # file line 2
train:
  optim_g:
    lr: {rate}  # file line 4
{extra}val:
  metrics:
    psnr:
      type: psnr  # file line 8
"""


CLIP = "  clip: true  # default\n"


def run(root, name, seed=0, rate=0.001, scores=(30.0, 32.0), extra=""):
    images = {f"image{place}": {"psnr": score, "psnr_bicubic": 29.0} for place, score in enumerate(scores)}
    mean = sum(scores) / len(scores)
    return write(
        root / name,
        event("train", 40, lr=rate),
        event("validation", 40, **{"val/set/psnr": mean, "val/set/psnr_bicubic": 29.0}),
        event("image_scores", 40, better={"psnr": "higher"}, sets={"set": images}),
        resolved=resolved(name, seed, rate, extra),
    )


def compared(*folders):
    groups = grouped([read_record(folder) for folder in folders])
    return {sheet.title: [list(row) for row in sheet.rows] for sheet in sheets(groups)}


def test_runs_that_differ_in_their_seed_are_one_with_mean_and_deviation(tmp_path):
    first = [run(tmp_path, f"a{seed}", seed, scores=(30.0, value)) for seed, value in enumerate((31.0, 32.0, 33.0))]
    other = run(tmp_path, "b", rate=0.002, scores=(31.0, 34.0))
    found = compared(*first, other)
    assert found["Options that differ"] == [["train.optim_g.lr", "0.001", "0.002"]]
    assert found["Scores"] == [
        ["set", "psnr", "29.00", "31.00 ± 0.50", "32.50"],
        ["", "iterations", "", "40", "40"],
    ]
    # Means over the seeds are 30 and 32: the differences of the two images are 1 and 2.
    assert found["Differences to a0 (3 seeds), image by image"] == [
        ["b", "set", "psnr", "+1.50", "+1.00 to +2.00", "yes", "2 of 2"]
    ]


def test_the_same_seed_twice_is_no_repetition(tmp_path):
    folders = [run(tmp_path, name) for name in ("a", "b")]
    groups = grouped([read_record(folder) for folder in folders])
    assert [group.label for group in groups] == ["a", "b"]
    with pytest.raises(ConfigError, match="named twice"):
        grouped([read_record(folders[0])] * 2)


def test_defaults_of_what_others_do_not_have_are_no_difference(tmp_path):
    folders = run(tmp_path, "a"), run(tmp_path, "b", rate=0.002, extra=CLIP)
    assert [row[0] for row in compared(*folders)["Options that differ"]] == ["train.optim_g.lr"]
    chosen = run(tmp_path, "c", extra=CLIP.replace("default", "file line 6"))
    assert compared(folders[0], chosen)["Options that differ"] == [["train.clip", "–", "true"]]


def test_only_common_images_count_and_infinite_scores_do_not(tmp_path):
    first = run(tmp_path, "a", scores=(30.0, 31.0, 32.0))
    other = run(tmp_path, "b", rate=0.002, scores=(30.5, 31.0))
    (row,) = compared(first, other)["Differences to a, image by image"]
    assert row[3:] == ["+0.25", "+0.00 to +0.50", "no", "1 of 2"]
    text = (other / "metrics.jsonl").read_text().replace('"psnr": 30.5', '"psnr": null')
    (other / "metrics.jsonl").write_text(text)
    (row,) = compared(first, other)["Differences to a, image by image"]
    assert row[-1] == "0 of 1"


def test_runs_without_scores_of_images_say_so(tmp_path, capsys):
    for name, rate in (("a", 0.001), ("b", 0.002)):
        write(tmp_path / name, event("train", 40, lr=rate), resolved=resolved(name, 0, rate))
    assert main(["compare", "a", "b", "--root", str(tmp_path)]) == 0
    assert "no scores of single images in common" in capsys.readouterr().out


def test_command_prints_markdown_or_latex(tmp_path, capsys):
    run(tmp_path, "a")
    run(tmp_path, "b_c", rate=0.002, scores=(31.0, 33.0))
    assert main(["compare", "a", "b_c", "--root", str(tmp_path)]) == 0
    assert "| train.optim_g.lr | 0.001 | 0.002 |" in capsys.readouterr().out
    assert main(["compare", "a", "b_c", "--root", str(tmp_path), "--latex"]) == 0
    assert r"train.optim\_g.lr & 0.001 & 0.002 \\" in capsys.readouterr().out


@pytest.mark.parametrize(("names", "said"), [(["a"], "two runs"), (["a", "c"], "no run"), (["a", "b"], "no run")])
def test_wrong_names_end_with_2(tmp_path, capsys, names, said):
    run(tmp_path, "a")
    assert main(["compare", *names, "--root", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
