"""Real-ESRGAN's keys as traiNNer-redux writes them: a recipe in the dataset section, every key reported."""

import pytest

from traiNNer.config.foreign_degradations import AT_TOP, IN_DATASET, recipe
from traiNNer.registry import DEGRADATIONS

TRAIN = "    type: PairedImageDataset\n    dataroot_gt: data/hr\n    dataroot_lq: data/lr\n    lq_size: 48\n"
MADE = "    type: realesrgandataset\n    dataroot_gt: data/hr\n    lq_size: 48\n"
TOP = "scale: 2\n"
DEFAULTS = {**AT_TOP, **IN_DATASET}


def file(base, top="", dataset="", train=MADE):
    assert TRAIN in base
    return base.replace(TRAIN, train + dataset, 1).replace(TOP, f"{TOP}high_order_degradation: true\n{top}", 1)


def test_a_file_becomes_a_recipe_in_the_papers_order(load, base):
    loaded = load(file(base, "blur_prob: 0.7\njpeg_range2: [40, 50]\nqueue_size: 120\n", "    blur_sigma: [0.5, 1]\n"))
    train = loaded.options.datasets["train"]
    assert train.type == "singlegtdataset"
    assert [step.type for step in train.degradations] == [
        *("blur", "resize", "noise", "jpeg"),
        *("blur", "resize", "noise"),
        *("jpeg", "shrink", "blur", "jpeg"),
    ]
    first, second, early, late = (train.degradations[place] for place in (0, 4, 7, 10))
    assert (first.prob, first.options.sigma, first.options.kernels[-1]) == (0.7, (0.5, 1.0), "sinc")
    assert sum(first.options.kernel_weights) == pytest.approx(1)
    assert first.options.kernel_weights[-1] == pytest.approx(0.1)
    assert (second.options.sigma, train.degradations[5].options.of) == ((0.2, 1.5), "lq")
    assert early == late
    assert (early.prob, early.either, early.options.quality) == (0.5, "last", (40, 50))
    noted = " ".join(loaded.changes)
    for key in ("high_order_degradation", "blur_prob", "jpeg_range2", "datasets.train.blur_sigma", "queue_size"):
        assert f"{key} (line" in noted
    assert "read as SingleGTDataset with 11 degradations" in noted


def test_what_never_happens_is_left_out(load, base):
    off = "blur_prob: 0\nblur_prob2: 0.0\ngaussian_noise_prob: 0\nnoise_range: [0, 0]\npoisson_scale_range: [0, 0]\n"
    off += "noise_range2: [0, 0]\npoisson_scale_range2: [0, 0]\njpeg_prob: 0\njpeg_prob2: 0\n"
    steps = load(file(base, off, "    final_sinc_prob: 0\n")).options.datasets["train"].degradations
    assert [step.type for step in steps] == ["resize", "resize", "shrink"]


def test_what_is_off_by_default_comes_first(load, base):
    on = "thicklines_prob: 0.2\nlq_usm: true\nlq_usm_radius_range: [3, 9]\ngt_usm: true\n"
    target, sharp, lines = load(file(base, on)).options.datasets["train"].degradations[:3]
    assert (target.type, target.target, target.options.radius) == ("usm", True, (25.0, 25.0))
    assert (sharp.type, sharp.target, sharp.options.radius) == ("usm", False, (3.0, 9.0))
    assert (lines.type, lines.prob) == ("thicklines", 0.2)


def test_pairs_are_mixed_in_by_their_share(load, base):
    paired = TRAIN.replace("PairedImageDataset", "realesrganpaireddataset")
    train = load(file(base, "dataroot_lq_prob: 0.25\n", train=paired)).options.datasets["train"]
    assert (train.type, train.options.made_of_gt) == ("pairedimagedataset", 0.75)
    assert len(train.degradations) == 11


@pytest.mark.parametrize(
    ("top", "key"),
    [
        ("jpeg_range: [0, 20]\n", "datasets.train.degradations[3].quality[0]"),
        ("resize_mode_prob: [1, 1]\n", "datasets.train.degradations[1]"),
        ("kernel_prob2: 3\n", None),
        ("noise_range: 3\n", "datasets.train.type"),
    ],
)
def test_values_that_cannot_be_are_reported(problems, base, top, key):
    assert any(found[1] == key or (key is None and "kernel_prob2" in found[1]) for found in problems(file(base, top)))


def test_without_the_switch_nothing_is_made(problems, base):
    ((_, key, message),) = problems(file(base).replace("degradation: true", "degradation: false"))
    assert key == "datasets.train.type"
    assert "high_order_degradation: true" in message


def test_every_step_can_be_built():
    on = {"thicklines_prob": 0.5, "lq_usm": True, "gt_usm": True}
    for step in recipe(DEFAULTS | on):
        options = {key: value for key, value in step.items() if key not in ("type", "prob", "either", "target")}
        DEGRADATIONS.build(step["type"], options)
