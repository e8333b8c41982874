"""Whole runs honor declared traits, and exceptions of plugins are reported with their line."""

import json
import re

import cv2
import numpy as np
import pytest
import torch
import yaml
from imagekit import write_pairs
from runkit import REPOSITORY, run, workplace, write_options

from traiNNer.traits import ArchTraits
from traiNNer.utils.upscaling import reflect

PICKY = """
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.archs.traits import arch


@arch(scales=(2,), size_multiple=8, least_size=16, precisions=("fp32",), layouts=("nchw",))
class Picky(nn.Module):
    def __init__(self, scale: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(6, 3 * scale**2, 3, padding=1)
        self.grow = nn.PixelShuffle(scale)

    def forward(self, lq: Tensor) -> Tensor:
        if lq.shape[-2] % 8 or lq.shape[-1] % 8 or min(lq.shape[-2:]) < 16:
            raise ValueError(f"size {tuple(lq.shape)}")
        if torch.is_autocast_enabled("cpu") or not lq.is_contiguous() or not self.body.weight.is_contiguous():
            raise ValueError("precision or layout")
        blocks = F.interpolate(F.avg_pool2d(lq, 8), scale_factor=8)
        output = self.body(torch.cat([lq, blocks], 1))
        assert output.dtype is torch.float32
        return self.grow(output)
"""
CHANGES = {
    "plugins": ["picky.py"],
    "network_g": {"type": "picky"},
    "use_amp": True,
    "amp_bf16": True,
    "datasets": {"train": {"lq_size": 16}},
    "val": {"save_img": True},
}


def place_with_odd_images(folder):
    """Validation images of 90x70 and 13x9 LQ pixels, and a network that supports neither size directly."""
    workplace(folder)
    write_pairs(folder / "val", 1, (70, 90), seed=5, smooth=True)
    small = np.random.default_rng(0).integers(0, 256, (26, 18, 3), np.uint8)
    cv2.imwrite(str(folder / "val/hr/tiny.png"), small)
    cv2.imwrite(str(folder / "val/lr/tiny.png"), small[::2, ::2])
    (folder / "picky.py").write_text(PICKY)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = place_with_odd_images(tmp_path_factory.mktemp("picky"))
    write_options(folder, CHANGES)
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder, result.output


def test_undeclared_traits_are_unused_and_reported_in_one_line_each(trained):
    _, output = trained
    assert output.count("picky does not work in bf16: use_amp is ignored, computing in float32") == 1
    assert output.count("picky does not work in channels_last: use_channels_last is ignored") == 1


def test_validation_of_any_size_equals_the_padded_whole(trained):
    folder, _ = trained
    written = {path.stem: path for path in (folder / "experiments/run").rglob("*.png") if "_12" in path.name}
    assert written, list((folder / "experiments/run").rglob("*.png"))
    sizes = {cv2.imread(str(path)).shape[:2] for path in written.values()}
    assert {(140, 180), (26, 18)} <= sizes


def results_of(folder, name, **val):
    data = {"type": "PairedImageDataset", "dataroot_gt": "val/hr", "dataroot_lq": "val/lr"}
    weights = "experiments/run/models/net_g_ema_12.safetensors"
    tree = {
        "name": name,
        "scale": 2,
        "num_gpu": 0,
        "plugins": ["picky.py"],
        "datasets": {"test": data},
        "network_g": {"type": "picky"},
        "path": {"pretrain_network_g": weights},
        "val": {"save_img": True, "metrics": {"psnr": {}}} | val,
    }
    (folder / "test.yml").write_text(yaml.safe_dump(tree))
    result = run("test.py", "-opt", "test.yml", folder=folder)
    assert result.code == 0, result.output
    images = {path.stem: cv2.imread(str(path)) for path in (folder / "results" / name).rglob("*.png")}
    return images, json.loads((folder / "results" / name / "metrics.json").read_text())


def test_whole_and_in_tiles_test_py_gives_the_padded_whole(trained):
    folder, _ = trained
    whole, scores = results_of(folder, "whole")
    tiled, tiled_scores = results_of(folder, "tiled", tile_size=24, tile_overlap=8)
    assert whole.keys() == tiled.keys()
    for key, image in whole.items():
        # Rounding to 8 bits may turn a difference of 1e-6 into one level.
        assert np.abs(image.astype(int) - tiled[key]).max() <= 1
        assert np.array_equal(image, expected(folder, key)), key
    assert tiled_scores["test"]["mean"]["psnr"] == pytest.approx(scores["test"]["mean"]["psnr"], abs=1e-3)


def expected(folder, key):
    """Upscale a whole image with explicit reflection padding."""
    import torch.nn.functional as F
    from safetensors.torch import load_file

    state = load_file(folder / "experiments/run/models/net_g_ema_12.safetensors")
    lq = cv2.imread(str(folder / "val/lr" / f"{key}.png"))[..., ::-1].copy()
    x = torch.from_numpy(lq)[None].permute(0, 3, 1, 2).float().div(255)
    traits = ArchTraits(size_multiple=8, least_size=16)
    padded = reflect(x, *(traits.fitting(side) for side in lq.shape[:2])).contiguous()
    blocks = F.interpolate(F.avg_pool2d(padded, 8), scale_factor=8)
    output = F.conv2d(torch.cat([padded, blocks], 1), state["body.weight"], state["body.bias"], padding=1)
    output = F.pixel_shuffle(output, 2)[..., : 2 * lq.shape[0], : 2 * lq.shape[1]]
    levels = output[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return levels[..., ::-1]


def test_crop_unsupported_by_the_network_is_an_option_error(tmp_path):
    place_with_odd_images(tmp_path)
    write_options(tmp_path, CHANGES | {"datasets": {"train": {"lq_size": None, "gt_size": 40}}})
    result = run("train.py", "-opt", "options.yml", "--check", folder=tmp_path)
    assert result.code == 2, result.output
    assert "picky needs a multiple of 16 = 8 x scale 2; nearest: 32, 48" in result.output


def test_example_of_the_documentation_trains(tmp_path):
    page = (REPOSITORY / "docs/adding_a_component.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(\"\"\"my_archs\.py.*?)```", page, re.S)
    assert code
    place_with_odd_images(tmp_path)
    (tmp_path / "my_archs.py").write_text(code.group(1))
    changes = {"plugins": ["my_archs.py"], "network_g": {"type": "BlockNet"}, "train": {"total_iter": 2}}
    write_options(tmp_path, CHANGES | changes)
    result = run("train.py", "-opt", "options.yml", folder=tmp_path)
    assert result.code == 0, result.output
    assert "validation 2" in result.output


FAULTY = """
import torch
from torch import Tensor, nn

from traiNNer.registry import ARCHS


@ARCHS.register()
class Faulty(nn.Module):
    def __init__(self, scale: int) -> None:
        super().__init__()
        {constructor}
        self.body = nn.Sequential(nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, lq: Tensor) -> Tensor:
        {forward}
        return self.body(lq)
"""


@pytest.mark.parametrize(
    ("constructor", "forward", "text"),
    [
        ("{}['missing']", "", r"network_g: faulty cannot be built .*: KeyError: 'missing' \(faulty\.py line 12\)"),
        ("", "{}['missing']", r"network_g: faulty cannot process 12 x 12 crops: KeyError: 'missing' \(faulty\.py"),
        (
            "",
            "self.body(lq[:, :2])",
            r"cannot process 12 x 12 crops: RuntimeError: .*channels.* \(faulty\.py line 16\)",
        ),
        (
            "",
            "assert self.training, 'evaluation'",
            r"cannot process 24 x 20 images \(datasets\.val\): AssertionError: evaluation \(faulty\.py line 16\)",
        ),
        ("", "return lq", r"faulty makes 1x images, `scale` says 2"),
        ("", "return 3", r"faulty must return a tensor, not int"),
    ],
)
def test_plugin_network_failure_is_reported_before_the_run(tmp_path, constructor, forward, text):
    result = run_faulty(tmp_path, constructor, forward)
    assert re.search(text, result.output), result.output
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize(
    "forward",
    [
        "assert not torch.is_grad_enabled(), 'in the first step'",
        "assert not torch.is_inference_mode_enabled(), 'in the first validation'",
    ],
)
def test_plugin_network_failure_is_not_an_internal_error(tmp_path, forward):
    result = run_faulty(tmp_path, "", forward)
    assert re.search(r"faulty\.py line 16: AssertionError: in the first .*A plugin raised this", result.output)


def run_faulty(folder, constructor, forward):
    workplace(folder)
    (folder / "faulty.py").write_text(FAULTY.format(constructor=constructor or "pass", forward=forward or "pass"))
    write_options(folder, {"plugins": ["faulty.py"], "network_g": {"type": "faulty"}})
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 2, result.output
    assert "Please report it" not in result.output
    assert "Traceback" not in result.output
    return result


def test_oom_in_a_plugin_network_stays_an_oom(tmp_path):
    workplace(tmp_path)
    oom = "raise torch.OutOfMemoryError('CUDA out of memory')"
    (tmp_path / "faulty.py").write_text(FAULTY.format(constructor="pass", forward=oom))
    write_options(tmp_path, {"plugins": ["faulty.py"], "network_g": {"type": "faulty"}})
    result = run("train.py", "-opt", "options.yml", folder=tmp_path)
    assert result.code == 8, result.output


OWN_LOSS = """
from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register({declared})
class Own(nn.Module):
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().mean()
"""


@pytest.mark.parametrize("declared", ["", "separable=True"])
def test_only_separable_losses_split_a_batch(tmp_path, declared):
    workplace(tmp_path)
    (tmp_path / "own.py").write_text(OWN_LOSS.format(declared=declared))
    automations = {"enabled": True, "DynamicBatchSizeOptimizer": {"enabled": True}}
    train = {"losses": [{"type": "own"}], "training_automations": automations, "total_iter": 4}
    write_options(tmp_path, {"plugins": ["own.py"], "train": train, "val": {"val_freq": 100}})
    result = run("train.py", "-opt", "options.yml", folder=tmp_path)
    assert result.code == 0, result.output
    said = result.output.count("a batch must not be split (own: not declared separable)")
    assert said == (0 if declared else 1), result.output
