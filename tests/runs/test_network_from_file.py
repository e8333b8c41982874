"""Fine-tuning and testing from a file that says itself which network it holds."""

import json

import pytest
import torch
import yaml
from runkit import record, run, workplace, write_options
from safetensors.torch import save_file

from traiNNer.registry import ARCHS

OPTIONS = {"feature_channels": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = workplace(tmp_path_factory.mktemp("finetuning"))
    torch.manual_seed(0)
    for scale in (2, 4):
        network = ARCHS.build("span", OPTIONS, scale=scale)
        save_file(network.state_dict(), folder / f"published_{scale}x.safetensors")
    return folder


def finetune(folder, name, weights):
    options = {"name": name, "network_g": None, "path": {"pretrain_network_g": weights}}
    write_options(folder, options | {"train": {"total_iter": 4, "optim_g": {"type": "AdamW", "lr": 1e-4}}})
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return result.output


def test_finetuning_takes_the_network_of_the_file(folder):
    output = finetune(folder, "same", "published_2x.safetensors")
    assert "published_2x.safetensors: loaded 205/205 tensors" in output
    resolved = yaml.safe_load((folder / "experiments/same/resolved.yml").read_text())
    assert resolved["network_g"]["type"] == "span"
    assert resolved["network_g"]["feature_channels"] == 8
    assert [entry for entry in record(folder, "same") if entry["event"] == "validation"]


def test_finetuning_to_another_scale_reports_what_was_loaded(folder):
    output = finetune(folder, "other", "published_4x.safetensors")
    assert "loaded 203/205 tensors; new: upsampler.0.weight, upsampler.0.bias" in output
    assert "published_4x.safetensors was trained at scale 4, this run is at scale 2" in output


def test_test_py_needs_no_network_and_no_scale(folder):
    data = {"type": "PairedImageDataset", "dataroot_gt": "val/hr", "dataroot_lq": "val/lr"}
    tree = {"name": "tested", "num_gpu": 0, "datasets": {"test": data}, "val": {"metrics": {"psnr": {}}}}
    tree |= {"path": {"pretrain_network_g": "published_2x.safetensors"}}
    (folder / "test.yml").write_text(yaml.safe_dump(tree))
    result = run("test.py", "-opt", "test.yml", folder=folder)
    assert result.code == 0, result.output
    assert json.loads((folder / "results/tested/metrics.json").read_text())["test"]["mean"]["psnr"]
