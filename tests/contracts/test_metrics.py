import math

import numpy as np
import pytest
import torch

import traiNNer.metrics  # noqa: F401 - registers them
from traiNNer.metrics.protocol import named_call
from traiNNer.registry import METRICS
from traiNNer.utils.dists_network import random_dists_network

NAMES = METRICS.names()
SCALE = 2


@pytest.fixture(scope="module", params=NAMES)
def metric(request, tmp_path_factory):
    if request.param == "dists":
        return METRICS.build("dists", dists_files(tmp_path_factory.mktemp("dists")), scale=SCALE)
    if request.param != "lpips":
        return METRICS.build(request.param, scale=SCALE)
    from torchvision.models import alexnet

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in alexnet().features.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {f"features.{name}": torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("metrics") / "alexnet.pth"
    torch.save(state, path)
    return METRICS.build("lpips", {"weights": str(path)}, scale=SCALE)


def dists_files(folder):
    state = {name: value for name, value in random_dists_network().named_buffers() if name.startswith("features")}
    torch.save({name.replace("_", "."): value for name, value in state.items()}, folder / "vgg16.pth")
    torch.save(dict.fromkeys(("alpha", "beta"), torch.ones(1, 1475, 1, 1)), folder / "weights.pt")
    return {"weights": str(folder / "vgg16.pth"), "dists_weights": str(folder / "weights.pt")}


def score(metric, output, target):
    """Score an image; of a metric of films, one of a film that stands still."""
    before = {"previous_output": photo(), "previous_target": photo()}
    return named_call("metric", metric)(output=output, target=target, lq=None, **before)


def photo():
    y, x = np.mgrid[0:60, 0:70]
    return np.stack([3 * x, 4 * y, (x * y) // 17], axis=2).clip(0, 255).astype(np.uint8)


def disturbed(strength):
    noise = np.random.default_rng(0).normal(0, strength, photo().shape)
    return np.clip(photo() + noise, 0, 255).round().astype(np.uint8)


def test_all_are_here():
    assert {"psnr", "ssim", "lpips", "dists", "ms_ssim", "psnr_y", "ssim_y", "ms_ssim_y", "tpsnr", "warpdiff"} <= set(
        NAMES
    )


def test_direction_agrees_with_the_scores(metric):
    scores = [score(metric, disturbed(strength), photo()) for strength in (0, 2, 8, 30)]
    assert all(isinstance(one, float) for one in scores)
    assert all(math.isfinite(one) for one in scores[1:])
    assert scores == sorted(scores, reverse=metric.direction == "higher")
    assert len(set(scores)) == 4


def test_images_are_not_modified(metric):
    output, target = disturbed(5), photo()
    assert score(metric, output, target) == score(metric, output, target)
    assert np.array_equal(output, disturbed(5))
    assert np.array_equal(target, photo())


def test_border_is_ignored(metric):
    output = disturbed(5)
    spoilt = output.copy()
    spoilt[:SCALE] = spoilt[-SCALE:] = 0
    spoilt[:, :SCALE] = spoilt[:, -SCALE:] = 0
    assert score(metric, spoilt, photo()) == score(metric, output, photo())
    spoilt[SCALE, SCALE] = 255 - spoilt[SCALE, SCALE]
    assert score(metric, spoilt, photo()) != score(metric, output, photo())


def test_needs_target_is_accurate(metric):
    if metric.needs_target:
        with pytest.raises(ValueError, match="ground truth"):
            score(metric, photo(), None)
    else:
        assert isinstance(score(metric, photo(), None), float)


@pytest.mark.parametrize("name", NAMES)
def test_direction_is_not_an_option_of_the_metric(name):
    assert "better" not in METRICS[name].options.model_fields
    assert "scale" not in METRICS[name].options.model_fields


@pytest.mark.parametrize("name", ["psnr", "ssim", "ms_ssim"])
def test_y_form_is_that_of_luma(name):
    built = METRICS.build(f"{name}_y", {"crop_border": 3}, scale=SCALE)
    luma = METRICS.build(name, {"crop_border": 3, "test_y_channel": True}, scale=SCALE)
    color = METRICS.build(name, {"crop_border": 3, "test_y_channel": False}, scale=SCALE)
    assert built(disturbed(5), photo()) == luma(disturbed(5), photo()) != color(disturbed(5), photo())
    assert built.direction == "higher"
