"""Values are checked against the length of the run and their switch: one warning each, or a refusal."""

import pytest

LENGTH = "  total_iter: 100\n"
FIRST = "    - type: L1Loss\n"
WARNED = {
    "warm-up": (
        LENGTH,
        "  warmup_iter: 400\n",
        "train.warmup_iter = 400 (line 17) does not end within total_iter 100: the highest rate is 0.00025 of 0.001",
    ),
    "validations": ("  val_freq: 50\n", "", None),
    "clipping": (
        LENGTH,
        "  grad_clip_max_norm: 5\n",
        "train.grad_clip_max_norm = 5 (line 17) has no effect without train.grad_clip: true",
    ),
    "tiles": (
        "  val_freq: 50\n",
        "  tile_overlap: 8\n",
        "val.tile_overlap = 8 (line 24) has no effect without val.tile_size",
    ),
    "half precision": (
        "scale: 2\n",
        "amp_bf16: true\n",
        "amp_bf16 = true (line 3) has no effect without use_amp: true",
    ),
    "checkpoints": (
        "    psnr: {}\n",
        "logger: {save_checkpoint_freq: 101}\n",
        "logger.save_checkpoint_freq = 101 (line 26) is beyond total_iter 100: the run is saved only at its end",
    ),
    "log": (
        "    psnr: {}\n",
        "logger: {print_freq: 101}\n",
        "logger.print_freq = 101 (line 26) is beyond total_iter 100: the run shows its first iterations only",
    ),
    "negative weight": (
        FIRST,
        "      loss_weight: -0.1\n",
        "train.losses[0].loss_weight = -0.1 (line 20) makes this loss grow",
    ),
    "late loss": (
        "      eps: 1e-3\n",
        "      start_iter: 100\n",
        "train.losses[1].start_iter = 100 (line 22): this loss never joins, total_iter is 100",
    ),
    "crops": (
        "    lq_size: 48\n",
        "    crop_growth: [{lq_size: 16, until: 100}]\n",
        "datasets.train.crop_growth[0].until = 100 (line 9): crops never have their full size, total_iter is 100",
    ),
    "average": (
        LENGTH,
        "  ema_decay: 0.9999\n",
        "train.ema_decay = 0.9999 (line 17) would average over 10,000 iterations, "
        "and total_iter is 100: the decay stays below it, at (1 + n) / (10 + n)",
    ),
}


def put(base, after, added):
    assert after in base
    return base.replace(after, f"{after}{added}", 1)


@pytest.mark.parametrize("name", [name for name in WARNED if name != "validations"])
def test_value_without_its_effect_is_one_warning(load, base, name):
    after, added, warning = WARNED[name]
    assert load(put(base, after, added)).warnings == (warning,)


def test_validation_beyond_the_run(load, base):
    late = base.replace("val_freq: 50", "val_freq: 101")
    assert load(late).warnings == (
        "val.val_freq = 101 (line 23) is beyond total_iter 100: the run validates only at its end",
    )
    assert not load(late.replace("val_freq", "val_enabled: false\n  val_freq")).warnings


def test_validation_that_leaves_nothing(load, base):
    bare = base.replace("  metrics:\n    psnr: {}\n", "") + "logger: {use_tb_logger: false}\n"
    assert load(bare).warnings == (
        "validation leaves nothing: add val.metrics or val.save_img: true, or set val.val_enabled: false",
    )
    for kept in (bare.replace("false}", "true}"), bare.replace("val_freq", "save_img: true\n  val_freq")):
        assert not load(kept).warnings
    assert not load(bare.replace("val_freq", "val_enabled: false\n  val_freq")).warnings


FINE = {
    "warm-up that ends": (LENGTH, "  warmup_iter: 99\n"),
    "switch that is on": (LENGTH, "  grad_clip: true\n  grad_clip_max_norm: 5\n"),
    "switch that is off by name": (LENGTH, "  grad_clip: false\n  grad_clip_max_norm: 5\n"),
    "tiles": ("  val_freq: 50\n", "  tile_size: 64\n  tile_overlap: 8\n"),
    "checkpoint at the end": ("    psnr: {}\n", "logger: {save_checkpoint_freq: 100, print_freq: 100}\n"),
    "average": (LENGTH, "  ema_decay: 0.99\n"),
    "default average": (LENGTH, ""),
    "loss that joins": ("      eps: 1e-3\n", "      start_iter: 99\n"),
    "crops that grow": ("    lq_size: 48\n", "    crop_growth: [{lq_size: 16, until: 99}]\n"),
}


@pytest.mark.parametrize("name", FINE)
def test_value_with_an_effect_is_no_warning(load, base, name):
    assert load(put(base, *FINE[name])).warnings == ()


def test_run_by_the_clock_has_no_length_to_compare_with(load, base):
    assert not load(base.replace(LENGTH, "  end_at: 1h\n  warmup_iter: 1000000\n")).warnings


@pytest.mark.parametrize(("first", "second", "what"), [(0, 0, "0"), (0, -1, "0 or less"), (-1, -2, "0 or less")])
def test_losses_that_teach_nothing_are_refused(problems, base, first, second, what):
    text = put(base, FIRST, f"      loss_weight: {first}\n").replace("eps: 1e-3", f"loss_weight: {second}")
    assert problems(text) == [(18, "train.losses", f"no loss teaches anything: every loss_weight is {what}")]


def test_mistyped_weight_is_one_problem(problems, base):
    text = put(base, FIRST, "      loss_weight: x\n").replace("eps: 1e-3", "loss_weight: 0")
    assert [key for _, key, _ in problems(text)] == ["train.losses[0].loss_weight"]
