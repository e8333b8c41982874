"""Files of other frameworks become files that load, and no key disappears."""

import tomllib

import pytest
import yaml
from imagekit import write_pairs
from runkit import run

from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError
from traiNNer.recipes.convert import convert, read_tree

NEOSR = """\
name = "small"
model_type = "image"
scale = 2
bfloat16 = true
compile = false

[datasets.train]
type = "paired"
dataroot_gt = 'data/hr'
dataroot_lq = 'data/lr'
patch_size = 16
batch_size = 3
accumulate = 2
augmentation = ["none", "mixup"]

[datasets.val]
type = "paired"
dataroot_gt = 'val/hr'
dataroot_lq = 'val/lr'

[network_g]
type = "superultracompact"

[train]
ema = 0.99
wavelet_guided = true

[train.optim_g]
type = "adamw_sf"
lr = 1e-3
betas = [0.9, 0.99]
schedule_free = false
warmup_steps = 7

[train.scheduler]
type = "cosineannealing"
T_max = 200

[train.gan_opt]
type = "a_loss_of_theirs"
loss_weight = 0.3

[train.mssim_opt]
type = "mssim_loss"
loss_weight = 0.5

[val]
val_freq = 50
tile = 64
[val.metrics.psnr]
type = "calculate_psnr"
[val.metrics.their_metric]
type = "calculate_their_metric"

[logger]
total_iter = 200
save_checkpoint_freq = 100
"""
BASICSR = """\
name: small
scale: 2
num_gpu: 1
manual_seed: 0
datasets:
  train:
    name: photos
    type: PairedImageDataset
    dataroot_gt: data/hr
    dataroot_lq: data/lr
    gt_size: 32
    batch_size_per_gpu: 2
    io_backend: {type: theirs}
  val:
    name: val
    type: PairedImageDataset
    dataroot_gt: val/hr
    dataroot_lq: val/lr
network_g: {type: superultracompact}
train:
  ema_decay: 0.999
  optim_g: {type: Adam, lr: !!float 2e-4, betas: [0.9, 0.99]}
  scheduler: {type: CosineAnnealingRestartLR, periods: [100, 100], restart_weights: [1, 1], eta_min: 1e-7}
  total_iter: 200
  pixel_opt: {type: L1Loss, loss_weight: 1.0, theirs: mean}
val: {val_freq: 50, metrics: {psnr: {type: calculate_psnr, crop_border: 2}}}
logger: {print_freq: 50}
"""
SOURCES = {"neosr.toml": NEOSR, "basicsr.yml": BASICSR.replace("!!float ", "")}


def converted(folder, name, text=None):
    source = folder / name
    source.write_text(text or SOURCES[name], encoding="utf-8")
    made = convert(source)
    target = folder / "my.yml"
    target.write_text(made.text(name), encoding="utf-8")
    return made, target


def leaves(tree, path=""):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    if not items:
        yield path
    for key, value in items:
        yield from leaves(value, f"{path}.{key}")


@pytest.mark.parametrize("name", SOURCES)
def test_file_loads_and_no_key_disappears(tmp_path, name):
    made, target = converted(tmp_path, name)
    assert made.problems == ()
    load_options(target, TrainOptions)
    report = "\n".join([*made.changes, *made.left_out])
    kept = set(leaves(made.tree))
    for path in leaves(read_tree(tmp_path / name)):
        steps = path.removeprefix(".").split(".")
        parents = [".".join(steps[:count]) for count in range(1, len(steps) + 1)]
        assert path in kept or any(parent in report for parent in parents if parent not in ("train", "datasets")), path


def test_neosr_values_arrive_under_our_names(tmp_path):
    made, target = converted(tmp_path, "neosr.toml")
    options = load_options(target, TrainOptions).options
    train, data = options.train, options.datasets["train"]
    assert (data.type, data.get("lq_size"), data.batch_size_per_gpu, data.accum_iter) == (
        "pairedimagedataset",
        16,
        3,
        2,
    )
    assert (train.total_iter, train.warmup_iter, train.ema_decay) == (200, 7, 0.99)
    assert (train.optim_g.type, train.optim_g.options.betas) == ("adamw", (0.9, 0.99))
    assert train.scheduler is not None
    assert (train.scheduler.type, train.scheduler.get("T_max")) == ("cosineannealinglr", 200)
    assert [(loss.type, loss.loss_weight) for loss in train.losses] == [("mssimloss", 0.5)]
    assert (options.val.tile_size, options.amp_bf16, options.use_compile) == (64, True, False)
    left = {line.partition(":")[0].partition(" = ")[0] for line in made.left_out}
    assert left == {
        "datasets.train.augmentation", "train.wavelet_guided", "train.losses[0]",
        "val.metrics.their_metric",
    }  # fmt: skip


def test_file_says_itself_what_became_of_it(tmp_path):
    made, target = converted(tmp_path, "neosr.toml")
    text = target.read_text(encoding="utf-8")
    assert text.startswith("# Converted from neosr.toml by `trainner convert`.\n# Left out:\n#   ")
    assert all(" ".join(line.split()) in text for line in made.left_out)
    lines = {line.partition("#")[0].strip(): line.partition("#")[2].strip() for line in text.splitlines()}
    assert lines["lq_size: 16"] == "was datasets.train.patch_size"
    # The first loss is left out, so the origin moves with the second.
    assert lines["- type: mssim_loss"] == "was train.mssim_opt"


def test_schedule_free_stays_schedule_free(tmp_path):
    text = NEOSR.replace("schedule_free = false", "schedule_free = true")
    made, _ = converted(tmp_path, "neosr.toml", text)
    assert made.tree["train"]["optim_g"]["type"] == "ScheduleFreeAdamW"
    assert any(
        line.startswith("train.optim_g.type = adamw_sf -> ScheduleFreeAdamW, which is another algorithm")
        for line in made.changes
    )


def test_what_makes_another_run_is_not_left_out(tmp_path):
    text = NEOSR.replace('"superultracompact"', '"their_network"').replace("lr = 1e-3", "lr = 0.0")
    made, _ = converted(tmp_path, "neosr.toml", text)
    assert [problem.key for problem in made.problems] == ["network_g.type", "train.optim_g.lr"]
    assert made.tree["network_g"] == {"type": "their_network"}


def test_a_key_that_is_given_twice_is_reported(tmp_path):
    made, _ = converted(tmp_path, "neosr.toml", NEOSR.replace("patch_size = 16", "patch_size = 16\nlq_size = 24"))
    assert made.tree["datasets"]["train"]["lq_size"] == 24
    assert "datasets.train.patch_size: datasets.train.lq_size is given as well" in made.left_out


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.toml", "name = ", "x.toml: Invalid value"),
        ("x.yml", "- 1\n", "holds no keys and values"),
        ("x.yml", "a: [1\n", "x.yml"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        convert(tmp_path / name)


def test_missing_file_is_said(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        convert(tmp_path / "none.toml")


def test_converted_file_passes_the_check(tmp_path):
    """A real `--check`, with images."""
    assert tomllib.loads(NEOSR)["scale"] == yaml.safe_load(SOURCES["basicsr.yml"])["scale"] == 2
    write_pairs(tmp_path / "data", 2, (60, 60), smooth=True)
    write_pairs(tmp_path / "val", 1, (40, 40), seed=9, smooth=True)
    converted(tmp_path, "neosr.toml")
    result = run("train.py", "-opt", "my.yml", "--check", folder=tmp_path)
    assert result.code == 0, result.output
    assert "checked: options, data and shapes are in order" in result.output
