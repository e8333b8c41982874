from pathlib import Path

import pytest
from runkit import base_options, merged

from traiNNer.config.load import check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import node_of
from traiNNer.run.result import newest, result_of


@pytest.fixture
def left(tmp_path):
    """Return a function that makes files of a run and returns what it says of them."""

    def make(*names, ema=0.999, root="runs"):
        changes = {"path": {"experiments_root": str(tmp_path / root)}, "train": {"ema_decay": ema}}
        options = check_tree(node_of(merged(base_options(), changes)), TrainOptions, "x").options
        models = tmp_path / root / "run/models"
        models.mkdir(parents=True)
        for name in names:
            (models / f"{name}.safetensors").touch()
        return result_of(options), models

    return make


def test_best_by_the_first_metric_is_proposed(left):
    result, models = left("net_g_best_ssim", "net_g_best_psnr", "net_g_ema_9", "net_g_ema_12", "net_g_12")
    file = models / "net_g_best_psnr.safetensors"
    assert result.weights == file
    assert result.last == models / "net_g_ema_12.safetensors"
    assert result.lines() == [
        f"Best weights by psnr: {file}",
        f"Next: trainner upscale -m {file} -i IMAGES -o OUT",
    ]


def test_without_scores_the_last_weights_are_proposed(left):
    result, models = left("net_g_5", "net_g_ema_7", ema=0)
    assert result.weights == models / "net_g_5.safetensors"
    assert result.lines()[0] == f"Weights of the last checkpoint: {models / 'net_g_5.safetensors'}"


def test_path_with_a_space_can_be_pasted(left):
    result, models = left("net_g_best_psnr", root="my runs")
    assert f"-m '{models / 'net_g_best_psnr.safetensors'}' -i" in result.lines()[1]


def test_run_without_weights_says_nothing(left):
    result, _ = left()
    assert (result.weights, result.lines()) == (None, [])


def test_newest_of_none_is_where_it_would_be(tmp_path):
    assert newest(tmp_path, "net_g", "pth") == Path(tmp_path / "net_g.pth")
