import pytest
from reportkit import event, resolved, scored, write

from traiNNer.cli import main
from traiNNer.errors import ConfigError
from traiNNer.report.compare import grouped, sheets
from traiNNer.report.record import read_record

CLIP = "  clip: true  # default\n"


def compared(*folders):
    groups = grouped([read_record(folder) for folder in folders])
    return {sheet.title: [list(row) for row in sheet.rows] for sheet in sheets(groups)}


def test_runs_that_differ_in_their_seed_are_one_with_mean_and_deviation(tmp_path):
    first = [scored(tmp_path, f"a{seed}", seed, scores=(30.0, value)) for seed, value in enumerate((31.0, 32.0, 33.0))]
    other = scored(tmp_path, "b", rate=0.002, scores=(31.0, 34.0))
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
    folders = [scored(tmp_path, name) for name in ("a", "b")]
    groups = grouped([read_record(folder) for folder in folders])
    assert [group.label for group in groups] == ["a", "b"]
    with pytest.raises(ConfigError, match="named twice"):
        grouped([read_record(folders[0])] * 2)


def test_defaults_of_what_others_do_not_have_are_no_difference(tmp_path):
    folders = scored(tmp_path, "a"), scored(tmp_path, "b", rate=0.002, extra=CLIP)
    assert [row[0] for row in compared(*folders)["Options that differ"]] == ["train.optim_g.lr"]
    chosen = scored(tmp_path, "c", extra=CLIP.replace("default", "file line 6"))
    assert compared(folders[0], chosen)["Options that differ"] == [["train.clip", "–", "true"]]


def test_only_common_images_count_and_infinite_scores_do_not(tmp_path):
    first = scored(tmp_path, "a", scores=(30.0, 31.0, 32.0))
    other = scored(tmp_path, "b", rate=0.002, scores=(30.5, 31.0))
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
