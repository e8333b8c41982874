import sys
from contextlib import suppress

import cv2
import numpy as np
import pytest
from imagekit import photo

from benchmarks import data_that_hurts
from benchmarks.data_that_hurts import Count, listed, plant, shifted


def test_shifted_image_lies_where_it_is_told():
    image = photo(size=(40, 40))
    moved = shifted(image, 2, -3)
    assert np.array_equal(moved[2:, :-3], image[:-2, 3:])
    assert moved.shape == image.shape


def test_one_photo_in_fifty_is_planted_and_the_others_are_untouched():
    photos = {str(number): photo(size=(40, 40), top=number, left=number) for number in range(200)}
    targets, planted = plant(photos, np.random.default_rng(0))
    changed = [key for key in photos if not np.array_equal(photos[key], targets[key])]
    assert sorted(changed) == sorted(planted)
    assert len(planted) == 4
    assert list(planted.values()).count("does not belong together") == 1
    assert plant(photos, np.random.default_rng(1))[1] != planted


@pytest.mark.parametrize(("alarms", "is_good"), [(0, True), (1, False)])
def test_targets_are_judged_by_counts(alarms, is_good):
    count, planted = Count(), {"a": "shifted by (0, 1) px", "b": "does not belong together"}
    count.add(planted, 102, planted | {f"clean{number}": "worse than bicubic" for number in range(alarms)})
    assert count.is_good is is_good
    assert f"| < 1 % | {alarms} of 100 ({alarms:.1f} %) |" in count.table()
    count.add(planted, 102, {"a": "shifted by (0, 2) px"})
    assert "| 3 of 4 (75.0 %) |" in count.table()
    assert "| 2 of 3 (66.7 %) |" in count.table()
    assert not count.is_good


def test_benchmark_runs_through_train_py_and_finds_what_it_planted(tmp_path, monkeypatch, capsys):
    data = tmp_path / "photos"
    data.mkdir()
    for number, name in enumerate(("astronaut.png", "coffee.png", "chelsea.png") * 4):
        image = photo(name, (120, 120), top=30 * (number // 3), left=40)
        cv2.imwrite(str(data / f"{number:02}.png"), image[:, :, ::-1])
    whole = data_that_hurts.options

    def small(iterations, seed):
        tree = whole(iterations, seed)
        tree["datasets"]["train"]["batch_size_per_gpu"] = 2
        tree["network_g"] |= {"num_feat": 8, "num_conv": 1}
        return tree

    monkeypatch.setattr(data_that_hurts, "options", small)
    command = ["x", "--data", str(data), "--runs", "1", "--iterations", "200", "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", command)
    with suppress(SystemExit):  # so small a network is worse than bicubic on some clean photos
        data_that_hurts.main()
    out = capsys.readouterr().out
    assert "| planted pairs that are listed | 95 % | 4 of 4 (100.0 %) |" in out
    assert "| of these, with the right kind and shift | | 4 of 4 (100.0 %) |" in out
    found = listed(tmp_path / "work/0/experiments/run/metrics.jsonl")
    log = next((tmp_path / "work/0/experiments/run/log").glob("*.log")).read_text(encoding="utf-8")
    assert f"{len(found)} of the 10 training pairs that the network explains worst hurt, worst first:" in log
