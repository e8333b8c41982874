"""Every command line of the documentation does what its page says, in a folder as its readers have it.

Option files are small ones here; what has a test of its own that runs its page is listed in `ELSEWHERE`.
"""

import shlex
import shutil

import pytest
import torch
from architecture.test_docs_site import PAGES, commands
from filmkit import write_film
from runkit import REPOSITORY, run
from upscalekit import write_weights

from traiNNer import build_network
from traiNNer.data.demo import prepare_demo

ELSEWHERE = {
    "torchrun": "tests/runs/test_launcher.py",
    "trainner init": "tests/unit/zero_config/test_command.py",  # measures for minutes
    "trainner doctor": "tests/unit/doctor/test_examine.py",  # computes for a minute
    "trainner benchmark": "tests/unit/cli/test_benchmark.py",  # downloads the networks of LPIPS and DISTS
    "trainner sweep": "tests/unit/cli/test_sweep.py",  # 26 runs
    "python train.py -opt options/train/2x_paragonsr2_automations.yml": "tests/contracts/test_shipped_options.py",
    "python train.py -opt options/train/2x_gan_two_stages.yml": "tests/contracts/test_shipped_options.py",
}
OPTIONS = """\
name: {name}
scale: 2
num_gpu: 0
datasets:
  train:
    type: {kind}
    dataroot_gt: hr
    {rest}
    lq_size: 12
    batch_size_per_gpu: 2
    num_worker_per_gpu: 0
  val: {{name: val, type: PairedImageDataset, dataroot_gt: hr, dataroot_lq: lr}}
network_g: {{type: compact, num_feat: 32, num_conv: 8}}
train:
  total_iter: 4
  optim_g: {{type: AdamW, lr: 1e-3}}
  losses: [{{type: L1Loss, loss_weight: 1.0}}]
val: {{val_freq: 2, metrics: {{psnr: {{}}}}}}
logger: {{use_tb_logger: false}}
"""
PAIRS = {"kind": "PairedImageDataset", "rest": "dataroot_lq: lr"}
DEGRADED = {"kind": "SingleGTDataset", "rest": "degradations: [shrink, {type: jpeg, quality: [40, 95]}]"}
THEIRS = """\
name = "small"
scale = 2
[datasets.train]
type = "paired"
dataroot_gt = 'hr'
dataroot_lq = 'lr'
patch_size = 16
batch_size = 3
[network_g]
type = "superultracompact"
[train]
total_iter = 100
[train.optim_g]
type = "adamw"
lr = 1e-3
[train.mssim_opt]
type = "mssim_loss"
"""


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory):
    """Return a folder with all that the pages speak of."""
    place = tmp_path_factory.mktemp("reader")
    prepare_demo(place / "datasets/demo")
    for side in ("hr", "lr"):
        shutil.copytree(place / "datasets/demo/train" / side, place / side)
    for name in ("photos", "photos/val", "datasets/my/hr", "films_hr"):
        shutil.copytree(place / "hr", place / name, dirs_exist_ok=True)
    for name in ("datasets/val/hr", "datasets/set5"):
        shutil.copytree(place / "datasets/demo/val/hr", place / name)
    for name in ("datasets/my/lr", "my_old_jpegs", "my_low_quality_images", "films_lr"):
        shutil.copytree(place / "lr", place / name)
    torch.save({"params": build_network("compact", scale=2).state_dict()}, place / "published.pth")
    write_film(place / "film.mkv", sound=None)
    for name, kind in (("options/2x_compact", PAIRS), ("options/my", DEGRADED), ("their", PAIRS), ("my", DEGRADED)):
        (place / name).parent.mkdir(exist_ok=True)
        text = OPTIONS.format(name=name.rpartition("/")[2], **kind)
        (place / f"{name}.yml").write_text(text, encoding="utf-8")
    shutil.copytree(REPOSITORY / "options/test", place / "options/test")
    (place / "their.toml").write_text(THEIRS, encoding="utf-8")
    (place / "my_loss.py").write_text("", encoding="utf-8")
    done = run("train.py", "-opt", "options/2x_compact.yml", folder=place)
    assert done.code == 0, done.output
    for name in ("2x_paragonsr2", "2x_paragonsr2_automations", "baseline", "larger", *(f"base_s{n}" for n in range(3))):
        shutil.copytree(place / "experiments/2x_compact", place / "experiments" / name)
    weights = place / "experiments/2x_temporalspan_video/models"
    weights.mkdir(parents=True)
    write_weights(weights).rename(weights / "net_g_best_psnr.safetensors")
    return place


def home_of(words):
    """Return the test that runs a command, where it is another one."""
    line = " ".join(words)
    return next((home for start, home in ELSEWHERE.items() if line.startswith(start)), None)


def test_homes_of_other_commands_exist_and_are_needed():
    lines = [" ".join(words) for page in PAGES for words in commands(page)]
    for start, home in ELSEWHERE.items():
        assert (REPOSITORY / home).is_file()
        assert any(line.startswith(start) for line in lines), start


@pytest.mark.nightly
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_commands_of_a_page_run(page, readers_folder, tmp_path):
    place = tmp_path / "reader"
    shutil.copytree(readers_folder, place)
    for words in commands(page):
        if home_of(words):
            continue
        if words[1] in ("options", "convert"):
            (place / "my.yml").unlink(missing_ok=True)
        elif "my.yml" in words:  # whatever was written before, a short run is enough
            shutil.copy(readers_folder / "my.yml", place / "my.yml")
        if "train" in words[1]:
            shutil.rmtree(place / "experiments/my", ignore_errors=True)
            shutil.rmtree(place / "experiments/2x_compact", ignore_errors=True)
        script, arguments = (words[1], words[2:]) if words[0] == "python" else ("traiNNer/__main__.py", words[1:])
        done = run(script, *arguments, folder=place)
        assert done.code == 0, f"{shlex.join(words)}\n{done.output}"
