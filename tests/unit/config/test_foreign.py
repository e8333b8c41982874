"""Files of other frameworks: what is off or says nothing loads and is noted, what is meant is refused by name."""

import re

import pytest

from traiNNer.config.options import TestOptions

PAIRS = "    lq_size: 48\n"
LENGTH = "  total_iter: 100\n"
PLAIN_LOSS = "    - type: L1Loss\n"


def put(base, after, added):
    assert after in base
    return base.replace(after, f"{after}{added}", 1)


IDLE = {
    "compile_mode": ("scale: 2\n", "use_compile: false\ncompile_mode: default\n", ["compile_mode"]),
    "degradations": ("scale: 2\n", "high_order_degradation: false\nblur_prob2: 0.5\n", None),
    "moa": (LENGTH, "  moa_debug: true\n  moa_debug_limit: 100\n", ["train.moa_debug", "train.moa_debug_limit"]),
    "model": ("scale: 2\n", "model_type: RealESRGANModel\nl1_gt_usm: false\n", ["model_type", "l1_gt_usm"]),
    "reduction": (PLAIN_LOSS, "      reduction: mean\n", ["train.losses[0].reduction"]),
    "ema_power": (LENGTH, "  ema_power: 0.75\n  ema_update_after_step: 9\n", ["train.ema_power"]),
    "warmup_iter": (LENGTH, "  warmup_iter: -1\n", ["train.warmup_iter"]),
    "prefetch_mode": (PAIRS, "    prefetch_mode: ~\n", ["datasets.train.prefetch_mode"]),
    "enlarge": (PAIRS, "    dataset_enlarge_ratio: auto\n", ["datasets.train.dataset_enlarge_ratio"]),
    "prefetch": (PAIRS, "    prefetch_factor: 2\n    persistent_workers: true\n", ["datasets.train.prefetch_factor"]),
    "io_backend": (PAIRS, "    io_backend: {type: disk}\n", ["datasets.train.io_backend"]),
    "eco": (LENGTH, "  eco: {enabled: false}\n", None),
    "teacher": ("scale: 2\n", "network_g_teacher: ~\n", ["network_g_teacher"]),
    "wandb": ("    psnr: {}\n", "logger: {use_wandb: true}\n", None),
    "weights of another network": ("scale: 2\n", "path: {pretrain_network_ae: ~, strict_load_ae: true}\n", None),
}


@pytest.mark.parametrize("name", IDLE)
def test_word_that_says_nothing_is_passed_over_and_noted(load, base, name):
    after, added, keys = IDLE[name]
    loaded = load(put(base, after, added))
    expected = load(base).options
    assert loaded.options.model_dump() == expected.model_dump()
    noted = [change.split(" (line")[0] for change in loaded.changes]
    assert len(noted) == added.count(":") - added.count("use_compile") - added.count("{")
    assert set(keys or ()) <= set(noted)


MEANT = {
    "degradations": (
        "scale: 2\n",
        "high_order_degradation: true\nblur_prob: 0.5\n",
        "high_order_degradation",
        "LQ images are made by `degradations`",
    ),
    "io_backend": (PAIRS, "    io_backend: {type: lmdb}\n", "datasets.train.io_backend", "from folders only"),
    "sam": (LENGTH, "  sam: fsam\n  sam_init: 9\n", "train.sam", "no step is taken twice"),
    "mixing": (
        PAIRS,
        "    augmentation: [mixup]\n    aug_prob: [1]\n",
        "datasets.train.augmentation",
        "is written `use_moa: true`",
    ),
    "vgg": (PLAIN_LOSS, "    - {type: perceptualloss, vgg_type: vgg16}\n", "train.losses[1].vgg_type", "of vgg19"),
    "usm": ("scale: 2\n", "l1_gt_usm: true\n", "l1_gt_usm", "no image is sharpened"),
    "RRDBNet": ("type: TinyNet", "", "network_g.type", "is called esrgan here"),
    "eco of neosr": (LENGTH, "  eco: true\n", "train.eco", "trains no network after another"),
    "eco": (LENGTH, "  eco: {enabled: true}\n", "train.eco", "trains no network after another"),
    "path": ("scale: 2\n", "path: {pretrain_network_g_path: x}\n", "path.pretrain_network_g_path", "write pretrain"),
    "teacher": ("scale: 2\n", "network_g_teacher: {type: x}\n", "network_g_teacher", "trains no network after another"),
    "pixel format": ("scale: 2\n", "input_pixel_format: y\n", "input_pixel_format", "trained in RGB"),
    "pixel_opt": (LENGTH, "  pixel_opt: {type: L1Loss}\n", "train.pixel_opt", "write an item"),
    "ema_switch_iter": (LENGTH, "  ema_switch_iter: 500\n", "train.ema_switch_iter", "never replaced by its EMA"),
    "model_type": ("scale: 2\n", "model_type: VideoBaseModel\n", "model_type", "old spelling"),
    "loss": (PLAIN_LOSS, "    - {type: fliploss, loss_weight: 1}\n", "train.losses[1].type", "remove the item"),
    "clips": (
        PAIRS,
        "    clip_size: 5\n",
        "datasets.train.clip_size",
        "use pairedvideodataset or singlevideodataset for clips",
    ),
    "metric": ("psnr: {}\n", "    niqe: {type: calculate_niqe}\n", "val.metrics.niqe.type", "remove it"),
}


@pytest.mark.parametrize("name", MEANT)
def test_word_that_is_meant_is_refused_once_without_a_nearest_name(problems, base, name):
    after, added, key, words = MEANT[name]
    text = base.replace("TinyNet", name) if name == "RRDBNet" else put(base, after, added)
    ((_, found, message),) = problems(text)
    assert found == key
    assert words in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("TinyNet", "paragonsr2_photo", "is an architecture of other frameworks that traiNNer does not have"),
        ("PairedImageDataset", "videotestdataset", "use pairedvideodataset with one folder for each clip"),
    ],
)
def test_component_of_another_framework_is_named_as_such(problems, base, old, new, words):
    messages = [message for _, _, message in problems(base.replace(old, new))]
    assert all(words in message and "did you mean" not in message for message in messages)


def test_component_that_exists_is_never_called_foreign(load, problems, base):
    assert "did you mean 'l1loss'" in problems(base.replace("L1Loss", "l1los"))[0][2]
    assert load(base.replace("L1Loss", "charbonnier_loss")).options.train.losses[0].type == "charbonnierloss"


def test_option_that_a_component_knows_is_no_foreign_word(load, base):
    """A word counts only where the section lacks it: SGD has `mean` nowhere, but a dataset might."""
    from traiNNer.registry import DATASETS

    @DATASETS.register(name="ownset")
    class OwnSet:
        def __init__(self, scale: int, dataroot_lq: str, mean: float = 0.0, lq_size: int | None = None) -> None: ...

    text = base.replace("type: PairedImageDataset\n    dataroot_gt: data/hr", "type: OwnSet\n    mean: 0.5")
    assert load(text).options.datasets["train"].get("mean") == 0.5


def test_losses_of_weight_zero_are_taken_out(load, problems, base):
    off = "    - {type: ganloss, gan_type: vanilla, loss_weight: 0}\n    - {type: MSELoss, loss_weight: 0.0}\n"
    loaded = load(put(base, "losses:\n", off))
    assert [loss.type for loss in loaded.options.train.losses] == ["l1loss", "charbonnierloss"]
    assert [change.split(" passed")[0] for change in loaded.changes] == [
        "train.losses[0] (line 19): ganloss",
        "train.losses[1] (line 20): MSELoss",
    ]
    ((line, key, _),) = problems(put(base, "losses:\n", off).replace("eps: 1e-3", "eps: x"))
    assert (line, key) == (23, "train.losses[3].eps")  # counted as in the file


def test_single_image_dataset_is_a_paired_one_without_gt(load, base):
    text = "name: x\nscale: 2\nnetwork_g: {type: TinyNet}\npath: {pretrain_network_g: w.pth}\ndatasets:\n"
    loaded = load(f"{text}  val: {{type: singleimagedataset, dataroot_lq: lr}}\n", model=TestOptions)
    assert loaded.options.datasets["val"].type == "pairedimagedataset"
    assert loaded.options.datasets["val"].get("dataroot_gt") is None
    assert "read as PairedImageDataset" in loaded.changes[0]


def test_unknown_metrics_of_a_file_without_validation_are_passed_over(load, problems, base):
    text = put(base, "psnr: {}\n", "    topiq: {type: calculate_topiq}\n")
    loaded = load(text.replace("val_freq: 50", "val_enabled: false"))
    assert list(loaded.options.val.metrics) == ["psnr"]
    assert any("val.metrics.topiq" in change for change in loaded.changes)
    mistyped = put(base, "psnr: {}\n", "    ssmi: {}\n").replace("val_freq: 50", "val_enabled: false")
    assert "did you mean 'ssim'" in problems(mistyped)[0][2]


def test_other_defaults_are_said_once_for_a_file_of_that_kind(load, base):
    theirs = base.replace("psnr: {}", "psnr: {type: calculate_psnr}").replace("eps: 1e-3", "start_iter: 0")
    (warning,) = load(theirs.replace(LENGTH, f"{LENGTH}  grad_clip: true\n")).warnings
    assert warning.startswith("the file is written for another framework, where options that it leaves out")
    told = dict(re.findall(r"([\w.\[\]]+) (\S+) \(here", warning))
    assert told == {
        "train.ema_decay": "0",
        "train.grad_clip_max_norm": "100",
        "val.metrics.psnr.test_y_channel": "false",
        "train.losses[1].eps": "1e-06",
    }
    assert not load(base).warnings
    written = theirs.replace("calculate_psnr", "calculate_psnr, test_y_channel: false").replace(
        "start_iter: 0", "eps: 1e-6"
    )
    assert not load(put(written, LENGTH, "  ema_decay: 0.5\n")).warnings
    others = put(put(written, LENGTH, "  ema_decay: 0.5\n"), "  val_freq: 50\n", "  tile_size: 64\n")
    (warning,) = load(put(others, "scale: 2\n", "path: {pretrain_network_g: w.pth}\n")).warnings
    assert "path.strict_load_g true (here false), val.tile_overlap 0 (here 32)" in warning


def test_key_without_a_value_has_its_default(load, problems, base):
    loaded = load(put(base, "scale: 2\n", "manual_seed: ~\nplugins: ~\nuse_amp: null\npath: {resume_state: ~}\n"))
    assert loaded.options.model_dump() == load(base).options.model_dump()
    assert sorted(change.split(" ")[0] for change in loaded.changes) == ["manual_seed", "plugins", "use_amp"]
    ((_, key, message),) = problems(base.replace("scale: 2", "scale: ~"))
    assert (key, message.split(":")[0]) == ("scale", "is missing")
    betas = base.replace("lr: 1e-3", "lr: 1e-3, betas: ~")
    assert load(betas).options.train.optim_g.get("betas") == load(base).options.train.optim_g.get("betas")


def test_changes_are_listed_by_a_check_and_counted_otherwise(load, base):
    words = "".join(f"{key}: 0\n" for key in ("blur_prob", "jpeg_prob", "queue_size", "lq_usm", "jpeg_prob2", "gt_usm"))
    loaded = load(put(base, "scale: 2\n", words))
    assert len(loaded.notices(check=True)) == 6
    (line,) = loaded.notices(check=False)
    assert line.startswith("Used in another way than written, or not at all: ")
    assert "blur_prob, jpeg_prob, queue_size, lq_usm, jpeg_prob2 and 1 more" in line
    assert load(base).notices(check=False) == load(base).notices(check=True) == []


GAN = """\
network_d: {type: unetdiscriminatorsn}
"""
PERCEPTUAL = "    - {type: perceptualloss, pretrained: false}\n    - {type: ganloss, loss_weight: 0.1}\n"


def test_what_a_gan_file_leaves_out_is_said_with_what_it_means_there(load, base):
    """There a discriminator has the schedule of the network, and the perceptual loss is that of ESRGAN."""
    schedule = "  scheduler: {type: MultiStepLR, milestones: [50], gamma: 0.5}\n"
    text = put(base, "scale: 2\n", f"{GAN}compile_mode: default\n").replace("psnr: {}", "psnr: {test_y_channel: true}")
    text = text.replace("eps: 1e-3", "eps: 1e-6")
    text = put(put(text, LENGTH, f"  ema_decay: 0.5\n{schedule}  optim_d: {{type: Adam}}\n"), PLAIN_LOSS, PERCEPTUAL)
    loaded = load(text)
    (warning,) = loaded.warnings
    assert "train.losses[1].layer_weights {conv1_2: 0.1, conv2_2: 0.1, conv3_4: 1, conv4_4: 1, conv5_4: 1} (" in warning
    assert "(here layers relu1_2, relu2_2, relu3_4)" in warning
    assert "train.losses[1].criterion charbonnier (here l1), train.scheduler_d as train.scheduler (here con" in warning
    assert loaded.theirs["train.scheduler_d"] == {"type": "MultiStepLR", "milestones": [50], "gamma": 0.5}
    own = text.replace("pretrained: false", "pretrained: false, layers: [relu1_2], criterion: l1")
    assert not load(put(own, LENGTH, f"{schedule.replace('scheduler', 'scheduler_d')}")).warnings
    assert not load(text.replace("compile_mode: default\n", "")).theirs


def test_keys_without_effect_are_told_from_those_with_another_value(load, base):
    loaded = load(put(put(base, LENGTH, "  warmup_iter: -1\n"), "scale: 2\n", "compile_mode: default\n"))
    assert loaded.passed_over == ("compile_mode",)
    assert len(loaded.changes) == 2
