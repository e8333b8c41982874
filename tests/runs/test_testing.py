"""test.py: scores, tables, images and refusals, from the weights that a real run of train.py wrote."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest
import yaml
from imagekit import write_pairs
from runkit import merged, run, workplace, write_options
from safetensors.torch import load_file

WEIGHTS = "experiments/run/models/net_g_ema_12.safetensors"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = workplace(tmp_path_factory.mktemp("trained"))
    write_options(folder, {"network_g": {"type": "paragonsr2_nano"}})
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder


@pytest.fixture
def place(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


def write_test(folder, changes=None):
    data = {"type": "PairedImageDataset", "dataroot_gt": "val/hr", "dataroot_lq": "val/lr"}
    tree = {
        "name": "tested",
        "scale": 2,
        "num_gpu": 0,
        "datasets": {"test_small": data},
        "network_g": {"type": "paragonsr2_nano"},
        "path": {"pretrain_network_g": WEIGHTS},
        "val": {"save_img": True, "metrics": {"psnr": {}, "ssim": {}}},
    }
    (folder / "test.yml").write_text(yaml.safe_dump(merged(tree, changes or {}), sort_keys=False))


def scores_of(folder, *arguments):
    result = run("test.py", "-opt", "test.yml", *arguments, folder=folder)
    assert result.code == 0, result.output
    return result.output, json.loads((folder / "results/tested/metrics.json").read_text())


def refused(folder, code, *texts, arguments=()):
    result = run("test.py", "-opt", "test.yml", *arguments, folder=folder)
    assert result.code == code, result.output
    assert "Traceback" not in result.output
    for text in texts:
        assert re.search(text, result.output), f"no '{text}' in:\n{result.output}"


def test_scores_match_the_validation_that_wrote_the_weights(place):
    write_test(place)
    output, metrics = scores_of(place)
    lines = (place / "experiments/run/metrics.jsonl").read_text().splitlines()
    last = [entry for entry in map(json.loads, lines) if entry["event"] == "validation"][-1]
    mean = metrics["test_small"]["mean"]
    assert last["iter"] == 12
    for name in ("psnr", "psnr_bicubic", "ssim", "ssim_bicubic"):
        assert mean[name] == pytest.approx(last[f"val/val/{name}"], abs=1e-9)
        values = [scores[name] for scores in metrics["test_small"]["images"].values()]
        assert mean[name] == pytest.approx(np.mean(values), abs=1e-12)
    assert f"{mean['psnr']:.4f}" in output
    assert f"{mean['psnr_bicubic']:.4f}" in output
    assert output.rstrip().endswith("finished: 2 images in 1 set")


def test_images_are_saved_under_the_metric_names(place):
    write_test(place)
    _, metrics = scores_of(place)
    assert list(metrics["test_small"]["images"]) == ["000.png", "001.png"]
    for name in metrics["test_small"]["images"]:
        assert cv2.imread(str(place / "results/tested/test_small" / name)).shape == (40, 48, 3)


def test_several_datasets_one_without_gt(place):
    write_pairs(place / "more", 3, (20, 24), seed=5, smooth=True)
    changes = {
        "datasets": {
            "test_more": {
                "name": "More é 猫",
                "type": "pairedimagedataset",
                "dataroot_gt": "more/hr",
                "dataroot_lq": "more/lr",
            },
            "test_bare": {"type": "SingleLQDataset", "dataroot_lq": "more/lr", "degradations": ["jpeg"]},
        }
    }
    write_test(place, changes)
    output, metrics = scores_of(place)
    assert list(metrics) == ["test_small", "More é 猫", "test_bare"]
    assert metrics["test_bare"] == {"mean": {}, "images": {f"00{n}.png": {} for n in range(3)}}
    assert len(list((place / "results/tested/test_bare").glob("*.png"))) == 3
    assert output.rstrip().endswith("finished: 8 images in 3 sets")


def test_tiles_with_enough_overlap_give_the_same_scores(place):
    write_pairs(place / "large", 1, (80, 96), seed=3, smooth=True)
    data = {"dataroot_gt": "large/hr", "dataroot_lq": "large/lr"}
    write_test(place, {"datasets": {"test_small": data}})
    _, whole = scores_of(place)
    _, tiles = scores_of(place, "--set", "val.tile_size=24", "--set", "val.tile_overlap=40")
    for name, value in whole["test_small"]["mean"].items():
        assert tiles["test_small"]["mean"][name] == pytest.approx(value, abs=1e-3)


def test_infinite_psnr_is_null_in_json(place):
    # Bicubic keeps black; the bias of the network does not.
    for part, side in (("hr", 64), ("lr", 32)):
        (place / "black" / part).mkdir(parents=True)
        cv2.imwrite(str(place / "black" / part / "x.png"), np.zeros((side, side, 3), np.uint8))
    write_test(place, {"datasets": {"test_small": {"dataroot_gt": "black/hr", "dataroot_lq": "black/lr"}}})
    _, metrics = scores_of(place)
    assert metrics["test_small"]["images"]["x.png"]["psnr_bicubic"] is None
    assert metrics["test_small"]["images"]["x.png"]["ssim_bicubic"] == 1


def test_pth_file_of_another_trainer_is_unwrapped(place):
    import torch

    tensors = {f"module.{name}": value for name, value in load_file(place / WEIGHTS).items()}
    torch.save({"params_ema": tensors, "iter": 3}, place / "theirs.pth")
    write_test(place)
    _, ours = scores_of(place)
    _, theirs = scores_of(place, "--set", "path.pretrain_network_g=theirs.pth")
    assert ours == theirs


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda path: None, r"w\.safetensors does not exist"),
        (lambda path: path.write_bytes(b""), r"w\.safetensors is empty \(0 bytes\)"),
        (lambda path: path.write_text("hello"), r"w\.safetensors is text, not a weights file"),
    ],
    ids=["missing", "empty", "text"],
)
def test_unreadable_weights(place, write, text):
    write(place / "w.safetensors")
    write_test(place, {"path": {"pretrain_network_g": "w.safetensors"}})
    refused(place, 2, text)
    assert not (place / "results").exists()


def test_weights_of_another_network_are_refused_and_identified(place):
    write_test(place, {"network_g": {"type": "paragonsr2_xs"}})
    refused(place, 2, r"does not fit paragonsr2_xs.*It holds weights of paragonsr2_nano")


def test_training_state_is_not_a_weights_file(place):
    write_test(place, {"path": {"pretrain_network_g": "experiments/run/training_states/12.state"}})
    refused(place, 2, r"12\.state is a training state, not a weights file")


def test_damaged_images_and_folders_exit_3(place):
    path = place / "val/lr/001.png"
    path.write_bytes(path.read_bytes()[:60])
    write_test(place)
    refused(place, 3, r"datasets\.test_small", r"001\.png")
    write_test(place, {"datasets": {"test_small": {"dataroot_lq": "val/lrr"}}})
    refused(place, 3, r"no such folder val/lrr")


def test_all_problems_of_a_test_file_are_reported_together(place):
    write_test(place, {"vall": {}, "val": {"metrics": {"psnrr": {}}}, "path": {"pretrain_network_g": None}})
    refused(place, 2, r"test\.yml: 3 problems", r"did you mean 'val'", r"did you mean 'psnr'", "pretrain_network_g")


def test_check_computes_and_writes_nothing(place):
    write_test(place)
    result = run("test.py", "-opt", "test.yml", "--check", folder=place)
    assert result.code == 0, result.output
    assert "pretrain_network_g: " + WEIGHTS in result.output
    assert not (place / "results").exists()


def test_offline_lpips_without_weights_names_file_and_option(place):
    (place / "offline.py").write_text(
        "import urllib.request\n"
        "def closed(*a, **k):\n    raise urllib.error.URLError('offline')\n"
        "urllib.request.urlopen = closed\n"
    )
    write_test(place, {"val": {"metrics": {"lpips": {}}}, "plugins": ["offline.py"]})
    refused(place, 2, r"lpips .*needs alexnet-owt-7be5be79\.pth", r"weights: path")


def test_several_ranks_are_refused(place):
    write_test(place, {"dist": True})
    output, _ = scores_of(place)
    assert "dist has no effect in test.py" in output


def test_unwritable_results_exit_7(place):
    (place / "results").write_text("a file where the folder should be")
    write_test(place)
    refused(place, 7, r"Cannot write to results/tested")


def test_weights_of_another_scale_are_refused(place):
    write_test(place, {"scale": 4, "datasets": {"test_small": {"dataroot_gt": None}}})
    refused(place, 2, r"was trained at scale 2, this run is at scale 4")


def test_weights_named_but_empty_are_missing(place):
    write_test(place)
    nothing = ("--set", "path.pretrain_network_g=null")
    refused(place, 2, r"pretrain_network_g", r"is missing: the weights to test", arguments=nothing)
