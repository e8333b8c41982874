"""Testing weights, from options to the last line."""

import json

import pytest
import torch

from traiNNer import build_network
from traiNNer.config.options import TestOptions
from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import ConfigError
from traiNNer.run import test as run_test

NETWORK = {"type": "paragonsr2", "num_feat": 8, "num_groups": 1, "num_blocks": 1, "band_kernel_size": 3}


@pytest.fixture
def go(loaded, place, capsys):
    """Return a function that tests the weights of a small network and returns its result and log."""
    changes = {
        "datasets": {"train": None, "val": None, "test": {"type": "PairedImageDataset", "dataroot_gt": "val/hr",
                                                          "dataroot_lq": "val/lr"}},
        "network_g": NETWORK, "train": None, "logger": None, "path": {"pretrain_network_g": "w.pth"},
        "val": {"val_freq": None},
    }  # fmt: skip
    options = {name: value for name, value in NETWORK.items() if name != "type"}
    network = build_network("paragonsr2", scale=2, **options)
    network(torch.rand(2, 3, 8, 8))
    torch.save(network.state_dict(), place / "w.pth")

    def run(*sets, check=False):
        ended = run_test.test(loaded(*sets, model=TestOptions, changes=changes), Logbook(), check=check)
        return ended, capsys.readouterr().out

    return run


def test_checking_prints_the_options_and_writes_nothing(go, place):
    ended, said = go(check=True)
    assert ended == "checked: options, data, weights and shapes are in order"
    assert "pretrain_network_g: w.pth" in said
    assert not (place / "results").exists()


def test_every_image_of_every_set_is_scored(go, place):
    ended, said = go()
    assert ended == "finished: 2 images in 1 set"
    record = json.loads((place / "results/run/metrics.json").read_text())
    assert sorted(record["test"]["images"]) == ["000.png", "001.png"]
    assert set(record["test"]["mean"]) == {"psnr", "ssim", "psnr_bicubic", "ssim_bicubic"}
    assert "w.pth: " in said


def test_one_process_tests_and_reports_it(go):
    ended, said = go("dist=true", check=True)
    assert ended.startswith("checked")
    assert "dist has no effect in test.py" in said
    assert "dist has no effect" not in go(check=True)[1]


def test_weights_must_match_completely(go, place):
    state = torch.load(place / "w.pth", weights_only=True)
    del state["conv_out.bias"]
    torch.save(state, place / "w.pth")
    with pytest.raises(ConfigError, match=r"path\.pretrain_network_g: w\.pth does not fit paragonsr2 completely"):
        go(check=True)
