"""Real-ESRGAN's keys as traiNNer-redux writes them: a recipe in the dataset section, every key reported."""

import pytest

from traiNNer.config.foreign_degradations import AT_TOP, IN_DATASET, recipe
from traiNNer.registry import DEGRADATIONS

TRAIN = "    type: PairedImageDataset\n    dataroot_gt: data/hr\n    dataroot_lq: data/lr\n    lq_size: 48\n"
MADE = "    type: realesrgandataset\n    dataroot_gt: data/hr\n    lq_size: 48\n"
TOP = "scale: 2\n"
ON = {"blur_prob": 0.8, "sinc_prob": 0.1, "gaussian_noise_prob": 0.5, "noise_range": [1, 30]}
ON |= {f"{key}2": value for key, value in ON.items()} | {"final_sinc_prob": 0.8}
WRITTEN = "".join(f"{key}: {value}\n" for key, value in ON.items() if key in AT_TOP)
KERNELS = "".join(f"    {key}: {value}\n" for key, value in ON.items() if key in IN_DATASET)


def file(base, top="", dataset="", train=MADE):
    assert TRAIN in base
    return base.replace(TRAIN, train + dataset, 1).replace(TOP, f"{TOP}high_order_degradation: true\n{top}", 1)


def test_a_file_becomes_a_recipe_in_the_papers_order(load, base):
    loaded = load(file(base, WRITTEN + "jpeg_range2: [40, 50]\n", KERNELS + "    blur_sigma: [0.5, 1]\n"))
    train = loaded.options.datasets["train"]
    assert train.type == "singlegtdataset"
    assert [step.type for step in train.degradations] == [
        *("blur", "resize", "noise", "jpeg"),
        *("blur", "resize", "noise"),
        *("jpeg", "shrink", "blur", "jpeg"),
    ]
    first, second, early, late = (train.degradations[place] for place in (0, 4, 7, 10))
    assert (first.prob, first.options.sigma, first.options.kernels[-1]) == (0.8, (0.5, 1.0), "sinc")
    assert sum(first.options.kernel_weights) == pytest.approx(1)
    assert first.options.kernel_weights[-1] == pytest.approx(0.1)
    assert (second.options.sigma, train.degradations[5].options.of) == ((0.2, 1.0), "lq")
    assert early == late
    assert (early.prob, early.either, early.options.quality) == (0.5, "last", (40, 50))
    noted = " ".join(loaded.changes)
    for key in ("high_order_degradation", "blur_prob", "jpeg_range2", "datasets.train.blur_sigma"):
        assert f"{key} (line" in noted
    assert "read as SingleGTDataset with 11 degradations" in noted


def test_what_a_file_leaves_out_is_what_redux_takes(load, base):
    steps = load(file(base)).options.datasets["train"].degradations
    assert [step.type for step in steps] == ["resize", "jpeg", "resize", "jpeg", "shrink", "jpeg"]
    first, jpeg, second = steps[:3]
    assert (first.options.factor, second.options.factor) == ((0.4, 1.5), (0.6, 1.2))
    assert (jpeg.options.quality, jpeg.prob) == ((75, 95), 1.0)


def test_keys_that_change_nothing_are_noted_with_their_reason(load, base):
    top = "queue_size: 120\nhigh_order_degradations_debug: true\nhigh_order_degradations_debug_limit: 9\n"
    noted = "\n".join(load(file(base, top, "    blur_kernel_size: 12\n    blur_kernel_size2: 12\n")).changes)
    for key, reason in {
        "queue_size": "there is no queue",
        "high_order_degradations_debug": "trainner preview",
        "high_order_degradations_debug_limit": "trainner preview",
        "datasets.train.blur_kernel_size": "kernel_range",
        "datasets.train.blur_kernel_size2": "kernel_range",
    }.items():
        assert any(line.startswith(f"{key} (") and reason in line for line in noted.splitlines()), key


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
    assert [step.type for step in train.degradations][:2] == ["resize", "jpeg"]


@pytest.mark.parametrize(("option", "frames"), [("", 5), ("  num_frames: 3\n", 3)])
def test_a_network_of_clips_gets_clips(load, base, option, frames):
    text = file(base).replace("network_g:\n  type: TinyNet\n", f"network_g:\n  type: temporalspan\n{option}")
    text = text.replace("    type: PairedImageDataset\n", f"    type: PairedVideoDataset\n    clip_size: {frames}\n")
    train = load(text).options.datasets["train"]
    assert (train.type, train.options.clip_size) == ("singlevideodataset", frames)
    assert [step.type for step in train.degradations][:2] == ["resize", "jpeg"]


@pytest.mark.parametrize(
    ("top", "key"),
    [
        ("jpeg_range: [0, 20]\n", "datasets.train.degradations[1].quality[0]"),
        ("resize_mode_prob: [1, 1]\n", "datasets.train.degradations[0]"),
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
    for step in recipe({**AT_TOP, **IN_DATASET, **ON, **on}):
        options = {key: value for key, value in step.items() if key not in ("type", "prob", "either", "target")}
        DEGRADATIONS.build(step["type"], options)
