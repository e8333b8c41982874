"""Each recipe trains on the demo photos: loss falls, validation runs, every loss has a gradient, a resume is exact."""

import json
import re
import signal

import pytest
import torch
from runkit import Run, run
from safetensors.torch import load_file

from traiNNer import build_network
from traiNNer.data.demo import prepare_demo
from traiNNer.recipes.recipe import PURPOSES, Places, write_recipe

STEPS, STEPS_OF_GAN = 40, 12
PLACES = Places("demo/train/hr", "demo/train/lr", "demo/val/hr", "demo/val/lr", "start.pth")
SMALL = {
    "name": "run",
    "num_gpu": 0,
    "use_amp": "false",
    "network_g.num_feat": 12,
    "network_g.num_conv": 2,
    "datasets.train.lq_size": 16,
    "datasets.train.batch_size_per_gpu": 4,
    "datasets.train.num_worker_per_gpu": 0,
    "train.total_iter": STEPS,
    "train.warmup_iter": 0,
    "train.ema_decay": 0.5,
    "val.val_freq": STEPS // 2,
    "logger.print_freq": 5,
    "logger.save_checkpoint_freq": 10,
    "logger.use_tb_logger": "false",
}
GAN = {
    "stages.gan.train.total_iter": STEPS_OF_GAN,
    "stages.gan.network_d.num_feat": 8,
    # Random features of VGG19, of which only the first are built: nothing is downloaded.
    "stages.gan.train.losses[1].pretrained": "false",
    "stages.gan.train.losses[1].layer_weights": "{conv1_2: 1}",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    prepare_demo(folder / "demo")
    torch.manual_seed(0)
    network = build_network("compact", scale=2, num_feat=12, num_conv=2)
    torch.save({"params": network.state_dict()}, folder / "start.pth")
    return folder


def arguments(folder, purpose, name):
    """Write the recipe and return the arguments of train.py that make it small."""
    (folder / f"{purpose}.yml").write_text(write_recipe("compact", purpose, 2, PLACES), encoding="utf-8")
    changes = SMALL | (GAN if purpose == "gan" else {}) | {"name": name}
    return ["-opt", f"{purpose}.yml", *(word for key, value in changes.items() for word in ("--set", f"{key}={value}"))]


def lines(folder, event):
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == event]


def weights(stage):
    return [path.stem for path in stage.glob("models/net_*.safetensors") if re.search(r"_(12|40)$", path.stem)]


def assert_every_loss_has_a_gradient(trained):
    terms = {key.removeprefix("loss/") for key in trained[-1] if re.fullmatch(r"loss/\w+", key)} - {"total"}
    assert all(line["grad_norm"] > 0 for line in trained)
    if len(terms) > 1:  # one alone has all of it
        shares = [[line[f"share/{term}"] for term in terms] for line in trained if line["iter"] in (1, 2, 5, 10)]
        assert len(shares) == 4
        assert all(0 < share < 1 for line in shares for share in line)


@pytest.mark.parametrize("purpose", [name for name, purpose in PURPOSES.items() if not purpose.clips])
def test_recipe_trains_on_photos_and_resumes_exactly(place, purpose):
    straight = run("train.py", *arguments(place, purpose, purpose), folder=place)
    assert straight.code == 0, straight.output
    whole = place / "experiments" / purpose
    stages = [whole / "fidelity", whole / "gan"] if purpose == "gan" else [whole]

    # Means over five iterations each: that of the first iteration alone is of four crops, as easy as they happen to be.
    means = [line["loss/l1loss"] for line in lines(stages[0], "train") if line["iter"] >= 10]
    assert means[-1] < 0.95 * means[0]
    scores = [line["val/val/psnr"] for line in lines(stages[0], "validation")]
    assert scores[0] < scores[1]
    for stage in stages:
        assert_every_loss_has_a_gradient(lines(stage, "train"))
        assert lines(stage, "validation")[-1]["val/val/psnr"] > 10

    halved = Run("train.py", *arguments(place, purpose, f"{purpose}_2"), folder=place)
    halved.wait_for(f"Stage 2 of 2: {purpose}" if purpose == "gan" else f"iter 10/{STEPS}")
    halved.wait_for(f"iter 5/{STEPS_OF_GAN if purpose == 'gan' else STEPS}")
    halved.signal(signal.SIGTERM)
    assert halved.finish().code != 0
    resumed = run("train.py", *arguments(place, purpose, f"{purpose}_2"), "--auto_resume", folder=place)
    assert resumed.code == 0, resumed.output
    assert "(exact)" in resumed.output
    names = [stage / f"models/{name}.safetensors" for stage in stages for name in weights(stage)]
    assert len(names) == (5 if purpose == "gan" else 2)
    for path in names:
        one, two = load_file(path), load_file(whole.with_name(f"{purpose}_2") / path.relative_to(whole))
        assert all(one[key].equal(two[key]) for key in one), path.name
