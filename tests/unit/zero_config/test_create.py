"""From folders to a complete option tree, with a fake measuring process."""

import inspect
import shutil

import pytest
import yaml
from imagekit import write_pairs

import traiNNer
from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError, DataError
from traiNNer.zero_config import create
from traiNNer.zero_config.create import create_zero_config_training

NANO = "paragonsr2_nano"


def loaded(tree, folder):
    path = folder / "made.yml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return load_options(path, TrainOptions)


def test_signature_is_the_documents():
    names = list(inspect.signature(traiNNer.create_zero_config_training).parameters)
    assert names == ["architecture", "dataset_gt_path", "dataset_lq_path", "val_gt_path", "val_lq_path", "preset",
                     "scale", "budget", "custom_overrides"]  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "wanted"),
    [
        ("convenience", {
            "train.total_iter": 40000, "train.optim_g.lr": 2e-4, "STOP.patience": 2000, "RATE.plateau_patience": 1000,
            "RATE.min_lr_factor": 0.1, "val.val_freq": 1000,
        }),
        ("fidelity", {
            "train.total_iter": 80000, "train.warmup_iter": 2000, "train.optim_g.lr": 1e-4,
            "train.optim_g.weight_decay": 5e-5, "STOP.patience": 5000, "STOP.min_improvement": 0.0005,
            "RATE.plateau_patience": 2000, "RATE.improvement_threshold": 0.0005, "RATE.min_lr_factor": 0.5,
            "val.val_freq": 500,
        }),
    ],
)  # fmt: skip
def test_preset_gives_the_values_of_the_document(photos, measured, preset, wanted):
    tree = create_zero_config_training(NANO, photos / "hr", photos / "lr", preset=preset)
    short = {"STOP": "train.training_automations.IntelligentEarlyStopping",
             "RATE": "train.training_automations.IntelligentLearningRateScheduler"}  # fmt: skip
    for key, value in wanted.items():
        head, _, tail = key.partition(".")
        node = tree
        for part in f"{short.get(head, head)}.{tail}".split("."):
            node = node[part]
        assert node == value, key


@pytest.mark.parametrize("preset", ["convenience", "fidelity"])
def test_all_five_automations_are_active(photos, measured, tmp_path, preset):
    options = loaded(create_zero_config_training(NANO, photos / "hr", photos / "lr", preset=preset), tmp_path).options
    section = options.train.training_automations
    assert section.enabled
    assert set(section.active()) == {
        "IntelligentLearningRateScheduler",
        "DynamicBatchSizeOptimizer",
        "AdaptiveGradientClipping",
        "IntelligentEarlyStopping",
        "DynamicLossScheduling",
    }
    assert options.train.grad_clip  # without it the clipping automation could only observe


def test_scale_comes_from_the_sizes(tmp_path, measured):
    write_pairs(tmp_path / "p", 9, (60, 60), scale=3, smooth=True)
    assert create_zero_config_training(NANO, tmp_path / "p/hr", tmp_path / "p/lr")["scale"] == 3


def test_hr_only_makes_lr_on_the_fly_and_holds_images_out(photos, measured):
    tree = create_zero_config_training(NANO, photos / "hr")
    train, val = tree["datasets"]["train"], tree["datasets"]["val"]
    assert (train["type"], train["split"]) == ("SingleGTDataset", "train")
    assert (val["type"], val["split"]) == ("SingleGTDataset", "val")
    assert tree["scale"] == 2


def test_validation_folders_are_used_unchanged(photos, measured, tmp_path):
    write_pairs(tmp_path / "v", 2, (30, 30), smooth=True)
    tree = create_zero_config_training(NANO, photos / "hr", photos / "lr", tmp_path / "v/hr", tmp_path / "v/lr")
    assert tree["datasets"]["val"]["dataroot_gt"] == str(tmp_path / "v/hr")
    assert "split" not in tree["datasets"]["train"]


def test_measurements_decide(photos, measured):
    tree = create_zero_config_training(NANO, photos / "hr", photos / "lr")
    assert tree["use_amp"] is True
    assert tree["amp_bf16"] is True
    assert tree["use_channels_last"] is True
    assert tree["datasets"]["train"]["num_worker_per_gpu"] == 2
    assert measured[0].rates == ()


def test_budget_ends_the_run_by_the_clock_without_trials(photos, measured):
    train = create_zero_config_training(NANO, photos / "hr", photos / "lr", budget="30m")["train"]
    assert train["end_at"] == "1798s"
    assert "total_iter" not in train
    assert "scheduler" not in train
    assert (train["optim_g"]["type"], train["optim_g"]["lr"], train["warmup_iter"]) == ("Muon", 5e-3, 30)
    assert train["ema_decay"] == pytest.approx(1 - 1 / (0.015 * 16_800), abs=1e-4)
    assert measured[0].rates == ()


def test_optimizer_of_the_user_is_kept_and_its_rate_is_tried(photos, measured):
    overrides = {"train": {"optim_g": {"type": "AdamW"}}}
    train = create_zero_config_training(NANO, photos / "hr", budget="30m", custom_overrides=overrides)["train"]
    assert (train["optim_g"]["type"], train["optim_g"]["lr"]) == ("AdamW", 4e-3)
    assert measured[0].rates[0] == tuple(2e-4 * factor for factor in (1, 2.5, 5, 10, 20, 40))
    assert measured[0].rate_seconds == 40


def test_users_values_win_over_measured_and_planned_ones(photos, measured):
    overrides = {
        "train": {"optim_g": {"lr": 1e-3}, "total_iter": 777, "val": {"val_freq": 70}},
        "datasets": {"train": {"batch_size_per_gpu": 3, "num_worker_per_gpu": 1}},
        "use_amp": False,
    }
    tree = create_zero_config_training(NANO, photos / "hr", photos / "lr", budget="30m", custom_overrides=overrides)
    assert (tree["train"]["optim_g"]["lr"], tree["train"]["total_iter"], tree["val"]["val_freq"]) == (1e-3, 777, 70)
    assert tree["datasets"]["train"]["batch_size_per_gpu"] == 3
    assert tree["datasets"]["train"]["num_worker_per_gpu"] == 1
    assert tree["use_amp"] is False
    job = measured[0]
    assert job.rates == ()
    assert job.workers == (1,)
    assert "use_amp" in job.given
    assert job.tree["datasets"]["train"]["batch_size_per_gpu"] == 3


def test_too_large_crop_is_reduced(tmp_path, measured):
    write_pairs(tmp_path / "p", 9, (50, 45), smooth=True)
    assert create_zero_config_training(NANO, tmp_path / "p/hr")["datasets"]["train"]["lq_size"] == 45


def test_second_run_uses_the_cache(photos, measured):
    trees = [create_zero_config_training(NANO, photos / "hr", photos / "lr") for _ in range(2)]
    assert trees[0] == trees[1]
    assert len(measured) == 1
    create_zero_config_training(NANO, photos / "hr", photos / "lr", custom_overrides={"use_channels_last": False})
    assert len(measured) == 2


def test_images_that_change_are_measured_again(photos, measured):
    create_zero_config_training(NANO, photos / "hr", photos / "lr")
    (photos / "hr/000.png").unlink()
    (photos / "lr/000.png").unlink()
    create_zero_config_training(NANO, photos / "hr", photos / "lr")
    assert len(measured) == 2


# Bad input: a clear message each, and nothing is measured


def test_empty_folder(tmp_path, measured):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no images"):
        create_zero_config_training(NANO, tmp_path / "empty")
    assert not measured


def test_missing_folder_suggests_the_nearest(tmp_path, measured):
    with pytest.raises(DataError, match="no such folder"):
        create_zero_config_training(NANO, tmp_path / "none" / "hr")


def test_one_image_only(tmp_path, measured):
    write_pairs(tmp_path / "p", 1, (60, 70), smooth=True)
    with pytest.raises(DataError, match=r"one image only.*--val-gt"):
        create_zero_config_training(NANO, tmp_path / "p/hr", tmp_path / "p/lr")


def test_one_training_image_with_separate_validation_is_enough(tmp_path, measured):
    write_pairs(tmp_path / "p", 1, (60, 70), smooth=True)
    write_pairs(tmp_path / "v", 1, (30, 30), smooth=True)
    tree = create_zero_config_training(NANO, tmp_path / "p/hr", None, tmp_path / "v/hr")
    assert tree["datasets"]["val"]["type"] == "SingleGTDataset"


@pytest.mark.parametrize(
    "overrides",
    [
        {"datasets": {"val": None}, "val": {"val_enabled": False},
         "train": {"training_automations": {"IntelligentEarlyStopping": {"enabled": False}}}},
        {"datasets": {"train": {"accum_iter": None}}},
        {"train": {"warmup_iter": None}},
        {"train": {"total_iter": 5}},
        {"dist": True},
        {"datasets": {"train": {"lq_size": 12}}},
        {"scale": 4, "datasets": {"train": {"lq_size": 16}}},
    ],
)  # fmt: skip
def test_partial_and_unusual_overrides_are_accepted(photos, measured, overrides):
    tree = create_zero_config_training(NANO, photos / "hr", budget="30m", custom_overrides=overrides)
    assert tree["train"].get("total_iter") == overrides.get("train", {}).get("total_iter")


def test_arch_of_a_plugin(tmp_path, photos, measured, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_arch.py").write_text(
        "from torch import nn\nfrom traiNNer.archs.traits import Recipe, arch\n"
        "@arch(recipe=Recipe(lr=1e-3, lq_size=32, batch_size=4))\n"
        "class ZeroConfigOwnArch(nn.Module):\n"
        "    def __init__(self, scale: int) -> None:\n"
        "        super().__init__()\n"
        "        self.body = nn.Sequential(nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))\n"
        "    def forward(self, x):\n        return self.body(x)\n"
    )
    tree = create_zero_config_training(
        "zeroconfigownarch", photos / "hr", budget="30m", custom_overrides={"plugins": ["own_arch.py"]}
    )
    assert tree["plugins"] == [str(tmp_path / "own_arch.py")]
    # Its published settings are used: learning rates around its own, and its own crops.
    assert measured[0].rates[0][0] == 1e-3
    assert measured[0].tree["train"]["optim_g"]["lr"] == 1e-3
    assert measured[0].tree["datasets"]["train"]["batch_size_per_gpu"] == 4
    assert tree["datasets"]["train"]["lq_size"] == 32


def test_smaller_crops_are_measured_where_a_budget_may_need_them(photos, measured):
    create_zero_config_training(NANO, photos / "hr", photos / "lr", budget="10m")
    create_zero_config_training(
        NANO,
        photos / "hr",
        photos / "lr",
        budget="10m",
        custom_overrides={"scale": 2, "datasets": {"train": {"lq_size": 40}}},
    )
    create_zero_config_training(NANO, photos / "hr", photos / "lr")
    assert [job.crops[1:] for job in measured] == [(48, 32), (), ()]
    assert all(job.rates == () for job in measured)  # the rate is known for nano


def test_run_gets_a_free_name(photos, measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = create_zero_config_training(NANO, photos / "hr")["name"]
    (tmp_path / "experiments" / name).mkdir(parents=True)
    assert create_zero_config_training(NANO, photos / "hr")["name"] == f"{name}_2"
    assert len(measured) == 1  # the measurements hold for both


def test_same_names_in_another_folder_are_measured_again(tmp_path, measured, monkeypatch):
    for place in ("a", "b"):
        write_pairs(tmp_path / place / "photos", 9, (70, 70), smooth=True)
        monkeypatch.chdir(tmp_path / place)
        create_zero_config_training(NANO, "photos/hr")
    assert len(measured) == 2


def test_list_selects_the_images(photos, measured, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"{number:03}.png\n" for number in range(9)))
    request = create.Request(NANO, create.folders_of(photos / "hr", photos / "lr", None, None, tmp_path / "list.txt"))
    made = create.make(request, lambda _: None)
    assert (made.images, made.held_out) == (7, 2)
    sets = made.draft.tree()["datasets"]
    assert sets["train"]["meta_info"] == sets["val"]["meta_info"] == str(tmp_path / "list.txt")


def test_all_images_smaller_than_the_crop(tmp_path, measured):
    write_pairs(tmp_path / "p", 5, (20, 22), smooth=True)
    with pytest.raises(DataError, match=r"all 5 images are smaller than a training crop: 000, 001.*smallest has 20"):
        create_zero_config_training(NANO, tmp_path / "p/hr", tmp_path / "p/lr")


def test_few_small_images_are_reported_with_a_fix(tmp_path, measured):
    write_pairs(tmp_path / "p", 9, (70, 70), smooth=True)
    write_pairs(tmp_path / "q", 1, (10, 10), smooth=True)
    for part in ("hr", "lr"):
        shutil.copy(tmp_path / "q" / part / "000.png", tmp_path / "p" / part / "tiny.png")
    with pytest.raises(DataError, match=r"1 images? (is|are) smaller.*tiny.*trainner audit .*--fix list"):
        create_zero_config_training(NANO, tmp_path / "p/hr", tmp_path / "p/lr")


def test_swapped_folders_are_reported_with_the_right_command(photos, measured):
    with pytest.raises(DataError, match="are swapped") as caught:
        create_zero_config_training(NANO, photos / "lr", photos / "hr")
    assert f"--gt {photos / 'hr'} --lq {photos / 'lr'}" in str(caught.value)


def test_mixed_scales_are_counted(tmp_path, measured):
    write_pairs(tmp_path / "p", 6, (60, 60), smooth=True)
    write_pairs(tmp_path / "q", 4, (30, 30), scale=4, seed=5, smooth=True)
    for number in range(4):
        for part in ("hr", "lr"):
            shutil.copy(tmp_path / "q" / part / f"00{number}.png", tmp_path / "p" / part / f"q{number}.png")
    with pytest.raises(DataError, match="6 pairs are 2x, 4 pairs are 4x"):
        create_zero_config_training(NANO, tmp_path / "p/hr", tmp_path / "p/lr")


def test_another_scale_than_the_images(photos, measured):
    with pytest.raises(ConfigError, match="scale 4, but GT is 2 times as large as LQ"):
        create_zero_config_training(NANO, photos / "hr", photos / "lr", scale=4)


def test_unknown_arch_suggests_the_nearest(photos, measured):
    with pytest.raises(ConfigError, match="did you mean 'paragonsr2_nano'"):
        create_zero_config_training("paragonsr2_nan", photos / "hr")


def test_unknown_override(photos, measured):
    with pytest.raises(ConfigError, match=r"train\.total_itr = 5 +unknown option; did you mean 'total_iter'"):
        create_zero_config_training(NANO, photos / "hr", custom_overrides={"train": {"total_itr": 5}})
    assert not measured


def test_unknown_preset(photos, measured):
    with pytest.raises(ConfigError, match="must be convenience or fidelity"):
        create_zero_config_training(NANO, photos / "hr", preset="best")  # pyright: ignore[reportArgumentType]


def test_validation_with_lq_only(photos, measured):
    with pytest.raises(ConfigError, match="--val-lq without --val-gt"):
        create_zero_config_training(NANO, photos / "hr", photos / "lr", None, photos / "lr")


def test_too_short_budget(photos, measured):
    with pytest.raises(ConfigError, match=r"too short to get above bicubic upscaling.*The least is"):
        create_zero_config_training(NANO, photos / "hr", photos / "lr", budget="5s")


def test_disk_full(photos, measured, monkeypatch):
    usage = shutil.disk_usage(photos)
    monkeypatch.setattr(create.shutil, "disk_usage", lambda _: type(usage)(usage.total, usage.total - 2**20, 2**20))
    with pytest.raises(ConfigError, match=r"has 1 MB free; this run needs about [\d,]+ MB"):
        create_zero_config_training(NANO, photos / "hr")
    assert not measured
