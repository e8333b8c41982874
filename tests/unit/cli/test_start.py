"""Imports of the command line: `--help` and an invalid option file do not load torch."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
LOADED = """
import sys
from runpy import run_path
sys.argv = sys.argv[1:]
try:
    run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("\\nended", end.code, *sorted(sys.modules))
"""


def start(*arguments: object, folder: Path = REPOSITORY) -> tuple[int, set[str], str]:
    """Run a script; return its exit code, the modules it loaded, and what it printed."""
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=folder)
    said, _, end = done.stdout.rpartition("\nended ")
    code, *loaded = end.split()
    return int(code), set(loaded), said + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("train.py", "--help"),
        ("test.py", "--help"),
        ("traiNNer/__main__.py", "--help"),
        ("traiNNer/__main__.py", "train", "--help"),
        ("traiNNer/__main__.py", "init", "--help"),
    ],
    ids=" ".join,
)
def test_help_loads_no_library(arguments):
    code, loaded, said = start(REPOSITORY / arguments[0], *arguments[1:])
    assert code == 0
    assert "usage:" in said
    assert not loaded & {"torch", "numpy", "cv2", "pydantic", "yaml", "rich"}


STRUCTURAL = """
name: run
scale: twice
datasetz: {}
datasets:
  train: {type: PairedImageDataset, dataroot_gt: a, dataroot_lq: b, lq_size: 48}
  val: {type: PairedImageDataset, dataroot_gt: a, dataroot_lq: b}
network_g: {type: paragon_nano}
train:
  ema_deca: 0.9
  optim_g: {type: AdamWW, lr: 1e-3}
  scheduler: {type: MultiStepLR, milestones: [10]}
  losses: [{type: L11Loss}]
  training_automations:
    enabled: true
    IntelligentEarlyStoping: {}
val:
  metrics: {psnr: {}, ssim: {}}
"""
WRONG = {
    "structural": (STRUCTURAL, ("datasetz", "paragonsr2_nano", "adamw", "l1loss", "ema_decay", "whole number")),
    "yaml": ("name: [run\n", ("yml: 1 problem",)),
    "empty": ("", ("is empty",)),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_malformed_file_is_refused_without_torch(tmp_path, script, text, words):
    (tmp_path / "options.yml").write_text(text)
    code, loaded, said = start(REPOSITORY / script, "-opt", "options.yml", "--check", folder=tmp_path)
    assert code == 2
    for word in words if script == "train.py" else words[:1]:
        assert word in said
    assert not loaded & {"torch", "torchvision", "tensorboard", "scipy", "skimage", "lpips"}


def test_wrong_component_options_are_all_reported_with_minimal_imports(tmp_path):
    wrong = STRUCTURAL.replace("paragon_nano", "paragonsr2_nano, window_size: 0").replace("AdamWW", "AdamW, betas: 3")
    (tmp_path / "options.yml").write_text(wrong)
    code, loaded, said = start(REPOSITORY / "train.py", "-opt", "options.yml", "--check", folder=tmp_path)
    assert code == 2
    for word in ("datasetz", "network_g.window_size", "train.optim_g.betas", "l1loss", "ema_decay"):
        assert word in said
    assert {"torch", "traiNNer.archs.paragonsr2.network"} <= loaded
    unused = {"torch._dynamo", "torchvision", "tensorboard", "scipy", "skimage", "lpips"}
    assert not loaded & {*unused, "traiNNer.run.train", "traiNNer.losses.perceptual", "traiNNer.metrics.learned"}


@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_python_without_the_packages_is_told_what_to_do(script, tmp_path):
    command = [sys.executable, "-S", str(REPOSITORY / script), "-opt", "options.yml"]  # -S: nothing that is installed
    done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=tmp_path, env={})
    assert done.returncode == 2
    assert "has no package" in done.stderr
    assert "pip install -e ." in done.stderr
    assert "Traceback" not in done.stderr
