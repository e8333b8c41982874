"""A run with Compact: what train.py writes opens with spandrel, and test.py takes it and what is published."""

import json

import pytest
import torch
import yaml
from runkit import record, run, workplace, write_options
from spandrel import ModelLoader

from traiNNer import load_network

SMALL = {"type": "compact", "num_feat": 16, "num_conv": 2}
OPTIMIZERS = {"safetensors": {"type": "Muon"}, "pth": {"type": "AdamW", "lr": 1e-3}}


@pytest.fixture(scope="module", params=OPTIMIZERS)
def trained(request, tmp_path_factory):
    folder = workplace(tmp_path_factory.mktemp("compact"))
    train = {"optim_g": OPTIMIZERS[request.param], "total_iter": 40, "scheduler": None}
    logger = {"print_freq": 20, "save_checkpoint_freq": 40, "save_checkpoint_format": request.param}
    write_options(folder, {"network_g": SMALL, "train": train, "val": {"val_freq": 40}, "logger": logger})
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder, f"experiments/run/models/net_g_ema_40.{request.param}"


def test_weights_open_with_spandrel_and_give_the_same_image(trained):
    folder, weights = trained
    x = torch.rand(1, 3, 9, 14)
    found = ModelLoader().load_from_file(folder / weights)
    assert (found.architecture.id, found.scale, found.tags) == ("Compact", 2, ["16nf", "2nc"])
    with torch.no_grad():
        assert torch.equal(found.model.eval()(x), load_network(folder / weights)(x))


def test_run_learns(trained):
    losses = [entry["loss/l1loss"] for entry in record(trained[0]) if entry["event"] == "train"]
    assert losses[-1] < 0.8 * losses[0]


def scores(folder, weights, code=0, **network):
    data = {"type": "PairedImageDataset", "dataroot_gt": "val/hr", "dataroot_lq": "val/lr"}
    tree = {"name": "tested", "scale": 2, "num_gpu": 0, "datasets": {"test": data}, "network_g": SMALL | network}
    tree |= {"path": {"pretrain_network_g": weights}, "val": {"metrics": {"psnr": {}}}}
    (folder / "test.yml").write_text(yaml.safe_dump(tree))
    result = run("test.py", "-opt", "test.yml", folder=folder)
    assert result.code == code, result.output
    return result.output if code else json.loads((folder / "results/tested/metrics.json").read_text())["test"]["mean"]


def test_test_py_scores_what_was_validated_also_in_the_published_format(trained):
    folder, weights = trained
    torch.save({"params": load_network(folder / weights).state_dict()}, folder / "published.pth")
    (validated,) = [entry for entry in record(folder) if entry["event"] == "validation"]
    expected = validated["val/val/psnr"]
    for path in (weights, "published.pth"):
        assert scores(folder, path)["psnr"] == pytest.approx(expected, abs=1e-9)
    refusal = scores(folder, "published.pth", 2, num_feat=24)
    assert "It was trained with num_feat 16, here it is 24. Check network_g.type and its options" in refusal
