"""The options of mixed images fit each other, and only where they are used."""

import pytest

LENGTH = "  total_iter: 100\n"
WRONG = {
    "sum": ("  moa_augs: [mixup, none]\n  moa_probs: [0.5, 0.4]\n", "train.moa_probs", "adds up to 0.9; it must be 1"),
    "count": ("  moa_augs: [mixup]\n  moa_probs: [0.5, 0.5]\n", "train.moa_probs", "has 2 numbers for the 1 methods"),
    "default count": ("  moa_augs: [mixup, none]\n", "train.moa_probs", "has 5 numbers for the 2 methods"),
    "twice": ("  moa_augs: [mixup, mixup]\n  moa_probs: [0.5, 0.5]\n", "train.moa_augs", "has mixup twice"),
    "unknown": ("  moa_augs: [mixup, cutup]\n  moa_probs: [0.5, 0.5]\n", "train.moa_augs[1]", "cutmix"),
    "negative": ("  moa_augs: [mixup, none]\n  moa_probs: [1.5, -0.5]\n", "train.moa_probs[0]", "1"),
}


def mixing(base, lines, switch="true"):
    assert LENGTH in base
    return base.replace(LENGTH, f"{LENGTH}  use_moa: {switch}\n{lines}")


@pytest.mark.parametrize("name", WRONG)
def test_options_that_do_not_fit_are_named(problems, base, name):
    lines, key, message = WRONG[name]
    found = problems(mixing(base, lines))
    assert found[0][1] == key
    assert message in found[0][2]


def test_defaults_fit_each_other(load, base):
    train = load(mixing(base, "")).options.train
    assert train.use_moa
    assert len(train.moa_augs) == len(train.moa_probs) == 5
    assert sum(train.moa_probs) == pytest.approx(1)


@pytest.mark.parametrize("method", ["mixup", "cutmix"])
def test_single_image_has_no_partner(problems, load, base, method):
    alone = base.replace("    lq_size: 48\n", "    lq_size: 48\n    batch_size_per_gpu: 1\n", 1)
    found = problems(mixing(alone, f"  moa_augs: [none, {method}]\n  moa_probs: [0.5, 0.5]\n"))
    assert [(key, text.split(",")[0]) for _, key, text in found] == [
        ("train.moa_augs", f"{method} needs a second image")
    ]
    assert load(mixing(alone, f"  moa_augs: [none, {method}]\n  moa_probs: [1, 0]\n")).options.train.use_moa


def test_what_is_off_may_hold_anything_that_can_be_read(load, base):
    loaded = load(mixing(base, "  moa_augs: [mixup]\n  moa_probs: [0.5, 0.1]\n", "false"))
    assert not loaded.options.train.use_moa
