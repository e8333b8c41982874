import pytest

from traiNNer.config.options import ENDLESS, TestOptions

NOT_A_NAME = "is not allowed. Use letters, digits, space, . _ - (1-100 characters), no path."
RULES = {
    "scale of the arch": (("scale: 2", "scale: 3"), (2, "scale", "tinynet is made for the scales 2, 4")),
    "name": (
        ("name: run", 'name: "../../x"'),
        (1, "name", '"../../x" is not allowed. Use letters, digits, space, . _ - (1-100 characters), no path.'),
    ),
    "name of a set": (
        ("lq_size: 48", "lq_size: 48\n    name: a/b"),
        (9, "datasets.train.name", f'"a/b" {NOT_A_NAME}'),
    ),
    "key of a set": (
        ("  val:\n    type", "  val/../x:\n    type"),
        (9, "datasets.val/../x", f'"val/../x" {NOT_A_NAME}'),
    ),
    "key of a metric": (
        ("psnr: {}", "a/b: {type: psnr}"),
        (25, "val.metrics.a/b", f'"a/b" {NOT_A_NAME}'),
    ),
    "two sets of one name": (
        ("    dataroot_lq: val/lr\n", "    dataroot_lq: val/lr\n    name: train\n"),
        (13, "datasets.val.name", "is also the name of datasets.train; every set needs its own"),
    ),
    "strange set": (
        ("  val:\n    type", "  test:\n    type"),
        (9, "datasets.test", "no such set   known: 'train' and 'val…'"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "problem"), RULES.values(), ids=RULES)
def test_rules_between_options(problems, base, change, problem):
    assert change[0] in base
    assert problem in problems(base.replace(*change, 1))


def test_valid_values_are_accepted(load, base):
    text = base.replace("lq_size: 48", "lq_size: 48\n    gt_size: 96\n    name: Train set")
    assert load(text.replace("  val:\n    type", "  val_2:\n    type")).options.datasets["val_2"]
    assert load(base.replace("lq_size: 48", "gt_size: 96")).options.datasets["train"].options.gt_size == 96


def test_invalid_value_is_not_used(problems, base):
    text = base.replace("scale: 2", "scale: 0").replace("lq_size: 48", "lq_size: -5\n    gt_size: 90")
    assert [key for _, key, _ in problems(text)] == ["scale", "datasets.train.lq_size"]


def without_val(base):
    return base[: base.index("  val:\n    type")] + base[base.index("network_g") :]


def test_validation_needs_a_set(load, problems, base):
    text = without_val(base)
    assert problems(text) == [(3, "datasets.val", "is missing: add it, or set val.val_enabled: false")]
    assert load(text.replace("  val_freq", "  val_enabled: false\n  val_freq")).options.val.val_enabled is False
    assert load(text, "val.val_enabled=false").options.val.val_enabled is False


def test_training_needs_a_set(problems, base):
    text = base[: base.index("  train:\n    type")] + base[base.index("  val:\n    type") :]
    assert problems(text) == [(3, "datasets.train", "is missing: the images to train on")]
    assert problems(base.replace("  train:\n    type", "  tran:\n    type")) == [
        (4, "datasets.tran", "no such set; did you mean 'train'?   known: 'train' and 'val…'")
    ]


def test_datasets_of_a_test_file(load, problems, base):
    text = base[: base.index("train:\n  total")] + "path: {pretrain_network_g: w.pth}\n"
    assert problems(text, model=TestOptions) == [(4, "datasets.train", "no such set   known: 'test…' and 'val…'")]
    text = text.replace("  train:\n", "  test_1:\n")
    assert set(load(text, model=TestOptions).options.datasets) == {"test_1", "val"}
    assert problems(text.replace("pretrain_network_g", "pretrain_network"), model=TestOptions) == [
        (15, "path.pretrain_network", "unknown option; did you mean 'pretrain_network_g'?")
    ]


CLOCK = {
    "not a duration": ("end_at: soon", "train.end_at", "not a duration. Write 90s, 30m, 8h, 1h30m or 2d."),
    "not a text": ("end_at: 30", "train.end_at", 'must be text (write "30")'),
    "share of nothing": ("decay_share: 0.2", "train.decay_share", "has no effect without end_at"),
    "a schedule beside it": (
        "end_at: 30m\n  scheduler: {type: MultiStepLR, milestones: [6]}",
        "train.scheduler",
        "multisteplr depends on the iteration, and end_at ends the run by the clock: the rate is constant, then falls "
        "to zero. Remove the section (ConstantLR is allowed), or end_at",
    ),
}


@pytest.mark.parametrize(("text", "key", "message"), CLOCK.values(), ids=CLOCK)
def test_end_by_the_clock_is_checked(problems, base, text, key, message):
    assert [(at, said) for _, at, said in problems(base.replace("total_iter: 100", text))] == [(key, message)]


def test_end_by_the_clock_needs_no_iterations(load, base):
    train = load(base.replace("total_iter: 100", "end_at: 1h30m\n  scheduler: {type: ConstantLR}")).options.train
    assert train.most_iter == ENDLESS
    assert load(base, "train.end_at=30m").options.train.most_iter == 100
    assert load(base).options.train.most_iter == 100


def held_out(base, train="", val="    split: val\n", root="data/hr"):
    text = base.replace("    lq_size: 48\n", f"    lq_size: 48\n{train}")
    return text.replace("    dataroot_gt: val/hr\n", f"    dataroot_gt: {root}\n{val}")


SPLITS = {
    "trained on": ({}, ("datasets.train.split", "must be train: datasets.val holds images out of the same folder")),
    "written": (
        {"train": "    split: all\n"},
        ("datasets.train.split", "must be train: datasets.val holds images out of the same folder"),
    ),
    "other folders": (
        {"train": "    split: train\n", "root": "[data/hr, more/hr]"},
        ("datasets.val.dataroot_gt", "must be as in datasets.train, else other images are held out"),
    ),
    "other list": (
        {"train": "    split: train\n", "val": "    split: val\n    meta_info: a.txt\n"},
        ("datasets.val.meta_info", "must be as in datasets.train, else other images are held out"),
    ),
}


@pytest.mark.parametrize(("changes", "problem"), SPLITS.values(), ids=SPLITS)
def test_held_out_images_are_not_trained_on(problems, base, changes, problem):
    assert [(key, text) for _, key, text in problems(held_out(base, **changes))] == [problem]


@pytest.mark.parametrize(
    "changes",
    [
        {"train": "    split: train\n"},
        {"train": "    split: train\n", "root": "./data/hr/"},
        {"root": "val/hr"},
        {"val": ""},
        {"train": "    split: train\n    meta_info: a\n", "val": "    split: val\n    meta_info: a\n"},
    ],
)
def test_splits_that_fit_are_accepted(load, base, changes):
    assert load(held_out(base, **changes)).warnings == ()
