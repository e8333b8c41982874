from imagekit import numbers
from reportkit import event, write

from traiNNer.export.run_facts import (
    data_of,
    examples_of,
    is_degradation,
    options_of,
    protocol_of,
    run_of,
    score_rows,
)
from traiNNer.imaging.image_file import write_image
from traiNNer.report.record import read_record

RESOLVED = """\
name: run  # file line 1
scale: 2  # file line 2
datasets:
  train:
    dataroot_gt: /home/somebody/photos/hr  # file line 4
    dataroot_lq: datasets/demo/lr  # file line 5
    lq_size: 24  # file line 6
    degradations:
      - type: jpeg  # file line 8
        quality: 60  # file line 9
val:
  metrics:
    psnr:
      type: psnr  # file line 12
      test_y_channel: true  # default
      crop_border: null  # default
    rgb:
      type: psnr  # file line 15
      test_y_channel: false  # file line 16
      crop_border: 8  # file line 17
train:
  total_iter: 40  # file line 18
  ema_decay: 0.9  # default
logger:
  print_freq: 3  # file line 20
"""


def record(folder, *more):
    scores = {"val/set/psnr": 31.5, "val/set/psnr_bicubic": 30.0, "val/set/rgb": 29.0}
    return read_record(write(folder / "run", event("validation", 40, **scores), *more, resolved=RESOLVED))


def test_run_is_found_by_the_place_of_the_weights(tmp_path):
    record(tmp_path)
    found = run_of(tmp_path / "run" / "models" / "net_g.safetensors")
    assert found is not None
    assert found.name == "run"
    assert run_of(tmp_path / "net_g.safetensors") is None


def test_data_says_nothing_of_where_the_author_keeps_it(tmp_path):
    assert data_of(record(tmp_path)) == ["train: GT hr, LQ datasets/demo/lr; LQ made by jpeg"]


def test_degradations_are_told_by_their_keys():
    assert is_degradation("datasets.train.degradations[0].type", "train")
    assert not is_degradation("datasets.train.degradations", "train")
    assert not is_degradation("datasets.val.degradations[0].type", "train")


def test_options_are_those_that_were_set_and_concern_others(tmp_path):
    keys = [key for key, _ in options_of(record(tmp_path))]
    assert keys[:3] == ["scale", "datasets.train.lq_size", "datasets.train.degradations[0].type"]
    assert "train.total_iter" in keys
    assert not [key for key in keys if "dataroot" in key or key in ("name", "train.ema_decay", "logger.print_freq")]


def test_protocol_of_a_metric_is_in_words(tmp_path):
    found = record(tmp_path)
    assert protocol_of(found, "psnr") == "on luma (BT.601), as many border pixels left out as the scale"
    assert protocol_of(found, "rgb") == "on RGB, 8 pixels of border left out"
    row = score_rows(found)[0]
    assert row[:4] == ["set", "psnr", "31.50", "30.00"]
    assert row[4].startswith("best, at iteration 40; on luma")


def test_examples_are_those_whose_files_are_in_the_run(tmp_path):
    def example(key, place="examples/1_worst_{}.png"):
        files = {part: place.format(part) for part in ("bicubic", "output", "gt")}
        return {"set": "set", "key": key, "rank": "worst", "metric": "psnr", "files": files}

    outside = example("outside", "../{}.png")
    images = [example("a/b"), outside, example("gone", "examples/gone_{}.png"), {"set": "damaged"}]
    found = record(tmp_path, event("examples", 40, images=images))
    for part in ("bicubic", "output", "gt"):
        write_image(tmp_path / "run" / "examples" / f"1_worst_{part}.png", numbers(8, 9, 3))
        write_image(tmp_path / f"{part}.png", numbers(8, 9, 3))
    (only,) = examples_of(found)
    assert only.caption == "worst of set by psnr: b"
    assert only.files["gt"].name == "1_worst_gt.png"
