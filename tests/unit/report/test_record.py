import json

import pytest
from reportkit import event, write

from traiNNer.errors import ConfigError
from traiNNer.report.record import find_run, read_record


def test_options_have_their_sources(tmp_path):
    found = read_record(write(tmp_path)).options
    assert {key: (one.value, one.source) for key, one in found.items()} == {
        "name": ("run", "file line 1"),
        "scale": (2, "--set"),
        "note": ("a  # b", "default"),
        "train.total_iter": (40, "file line 3"),
        "train.losses[0].type": ("l1loss", "file line 5"),
        "train.losses[0].loss_weight": (1.0, "default"),
        "val.metrics.ssim.type": ("ssim", "file line 7"),
        "val.metrics.psnr.type": ("psnr", "file line 8"),
    }
    assert [key for key, one in found.items() if one.is_default] == ["note", "train.losses[0].loss_weight"]


def test_curves_leave_out_what_was_not_finite_and_half_a_line(tmp_path):
    folder = write(tmp_path, event("train", 1, lr=1e-3), event("train", 2, lr=None), event("train", 3, lr=2e-3))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"event": "train", "iter": 4, "l')
    record = read_record(folder)
    assert record.curve("train", "lr") == [(1, 1e-3), (3, 2e-3)]
    assert (record.iteration, record.total, record.name) == (3, 40, "run")


def test_seconds_add_up_over_starts(tmp_path):
    times = [(1, 4.0), (2, 9.0), (2, 3.0), (3, 5.0)]
    folder = write(tmp_path, *(event("train", at, seconds=seconds) for at, seconds in times))
    assert read_record(folder).seconds == 14.0
    assert read_record(write(tmp_path, event("train", 1))).seconds is None


def test_metrics_come_in_the_order_of_the_options_and_sets_may_have_slashes(tmp_path):
    scores = {"val/a/b/psnr": 30, "val/a/b/ssim": 0.9, "val/a/b/psnr_bicubic": 29, "val/a/b/ssim_bicubic": 0.8}
    record = read_record(write(tmp_path, event("validation", 4, **scores)))
    assert (record.metrics, record.sets) == (["ssim", "psnr"], ["a/b"])


def test_a_plan_tells_the_end(tmp_path):
    folder = write(tmp_path, event("run_started", 0, total_iter=100))
    plan = {"event": "decision", "iter": 3, "action": "plan", "new": 77}
    (folder / "decisions.jsonl").write_text(json.dumps(plan) + "\n")
    assert read_record(folder).total == 77


def test_run_is_found_by_name_and_by_folder(tmp_path):
    folder = write(tmp_path / "runs" / "good")
    assert find_run(tmp_path / "runs", "good") == folder
    assert find_run(tmp_path, str(folder)) == folder


def test_missing_run_is_told_with_the_nearest_name(tmp_path):
    write(tmp_path / "photos")
    (tmp_path / "empty").mkdir()
    for name, said in {
        "photo": "There is no run .*photo; nearest: photos",
        "empty": "holds no metrics.jsonl",
        "../x": "There is no run",
    }.items():
        with pytest.raises(ConfigError, match=said):
            find_run(tmp_path, name)
    with pytest.raises(ConfigError, match="--root"):
        find_run(tmp_path / "nowhere", "photos")
