"""Training on degradations made while training: the same images for any number of data workers, exact at a resume."""

import signal

import pytest
import torch
from imagekit import write_pairs
from runkit import record, run, write_options
from safetensors.torch import load_file

RECIPE = [
    {"type": "blur", "kernels": ["iso", "sinc"], "prob": 0.8},
    {"type": "resize", "factor": [0.5, 1.5]},
    {"type": "noise", "kinds": ["gaussian", "poisson", "speckle"]},
    {"type": "jpeg", "prob": 0.5, "either": "end"},
    {"type": "shrink"},
    {"type": "jpeg", "prob": 0.5, "either": "end"},
]
PHOTOS = {"type": "singlegtdataset", "dataroot_gt": "data/hr", "dataroot_lq": None, "degradations": RECIPE}


def prepare(folder, workers=0, **data):
    write_pairs(folder / "data", 5, (20, 24), smooth=True)
    train = PHOTOS | {"num_worker_per_gpu": workers} | data
    (folder / "stop.py").write_text(STOP)
    return write_options(folder, {"plugins": ["stop.py"], "datasets": {"train": train, "val": PHOTOS}})


STOP = """
import traiNNer.engine.checkpoint.saver as saver
import os, signal

real = saver.Saver.save

def save(self, *arguments, **options):
    result = real(self, *arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
    return result

if os.environ.get("STOP"):
    saver.Saver.save = save
if os.environ.get("AT_STEP"):
    from traiNNer.engine.runtime.runtime import Runtime

    Runtime.prefers_batches = True
"""


def stopped_and_resumed(folder, *arguments, **environment):
    """Kill a run right after its first checkpoint, and resume it."""
    call = ("train.py", "-opt", "options.yml", *arguments)
    assert run(*call, folder=folder, STOP="1", **environment).code == -signal.SIGKILL
    return run(*call, "--auto_resume", folder=folder, **environment)


def weights(folder):
    return load_file(folder / "experiments/run/models/net_g_12.safetensors")


def first_loss(folder):
    line = next(line for line in record(folder) if line["event"] == "train")
    return sum(value for key, value in line.items() if key.startswith("loss/"))


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def main(tmp_path_factory):
    """The folder of an uninterrupted run in one process."""
    folder = tmp_path_factory.mktemp("main")
    prepare(folder)
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder


def test_workers_and_a_resume_change_nothing(main, tmp_path):
    runs = {name: tmp_path / name for name in ("workers", "resumed", "other")}
    for folder in runs.values():
        folder.mkdir()
    prepare(runs["workers"], workers=2)
    prepare(runs["resumed"], workers=1)
    prepare(runs["other"], degradations=[*RECIPE[:-1]])
    for name, arguments in (("workers", ()), ("other", ("--set", "train.total_iter=3"))):
        result = run("train.py", "-opt", "options.yml", *arguments, folder=runs[name])
        assert result.code == 0, result.output
    resumed = stopped_and_resumed(runs["resumed"])
    assert resumed.code == 0, resumed.output
    assert "Resuming run at iteration 5 (exact)." in resumed.output
    assert same(weights(main), weights(runs["workers"]))
    assert same(weights(main), weights(runs["resumed"]))
    assert first_loss(main) != first_loss(runs["other"])
    assert record(main) == record(runs["workers"])


def test_another_recipe_is_named_at_a_resume(tmp_path):
    prepare(tmp_path)
    changed = ("--set", "datasets.train.degradations=[{type: noise, sigma: [1, 2]}]")
    call = ("train.py", "-opt", "options.yml")
    assert run(*call, folder=tmp_path, STOP="1").code == -signal.SIGKILL
    result = run(*call, *changed, "--auto_resume", folder=tmp_path)
    assert result.code == 0, result.output
    assert "Exact resume is off: datasets.train.degradations" in result.output


def test_left_to_the_step_they_are_the_same_and_exact(main, tmp_path):
    """As on a device: the recipe is made for the batch after it was moved there."""
    runs = {name: tmp_path / name for name in ("at_step", "resumed")}
    for folder in runs.values():
        folder.mkdir()
    prepare(runs["at_step"])
    prepare(runs["resumed"], workers=2)
    result = run("train.py", "-opt", "options.yml", folder=runs["at_step"], AT_STEP="1")
    assert result.code == 0, result.output
    resumed = stopped_and_resumed(runs["resumed"], AT_STEP="1")
    assert resumed.code == 0, resumed.output
    assert "Resuming run at iteration 5 (exact)." in resumed.output
    assert same(weights(runs["at_step"]), weights(runs["resumed"]))
    losses = [first_loss(folder) for folder in (main, runs["at_step"])]
    assert losses[0] != losses[1]  # libjpeg rounds in another way
    assert abs(losses[0] - losses[1]) < 0.02 * losses[0]
