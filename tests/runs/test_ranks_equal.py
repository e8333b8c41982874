"""Two ranks with half of the batch each train what one process trains with all of it, with everything switched on."""

import shutil

import pytest
import torch
from runkit import ranks, record, run, workplace, write_options
from safetensors.torch import load_file

ITERATIONS = 20
# In float64, so that the order of additions is no excuse; of networks that small, everything is sent in buckets.
PLUGIN = """
from traiNNer.engine.runtime import buckets
from traiNNer.engine.runtime.runtime import Runtime

to_float, place = Runtime.to_float, Runtime.place
Runtime.to_float = lambda self, images: to_float(self, images).double()
Runtime.place = lambda self, network: place(self, network.double())
buckets.LARGE_BYTES, buckets.BUCKET_BYTES = 0, 20_000
"""
RECIPE = [{"type": "noise"}, {"type": "jpeg", "prob": 0.5}]
OPTIONS = {
    "plugins": ["float64.py"],
    "model": {"type": "adversarial"},
    "network_d": {"type": "unetdiscriminatorsn", "num_feat": 4},
    "datasets": {
        "train": {
            "type": "singlegtdataset",
            "dataroot_lq": None,
            "degradations": RECIPE,
            "accum_iter": 2,
            "lq_size": 8,
        },
    },
    "train": {
        "total_iter": ITERATIONS,
        "ema_decay": 0.9,
        "ema_decay_d": 0.9,
        "grad_clip": True,
        "optim_d": {"type": "AdamW", "lr": 1e-3},
        "scheduler": None,
        "losses": [
            {"type": "L1Loss"},
            {"type": "ganloss", "loss_weight": 0.05, "r1_weight": 0.1, "penalty_interval": 3},
        ],
        "training_automations": {
            "enabled": True,
            "AdaptiveGradientClipping": {"monitoring_frequency": 3, "gradient_history_size": 20},
            "IntelligentLearningRateScheduler": {"plateau_patience": 8, "log_every": 1000},
        },
    },
    "val": {"val_freq": 10},
    "logger": {"save_checkpoint_freq": 10},
}
ROLES = ("net_g", "net_g_ema", "net_d", "net_d_ema")


def prepare(folder, batch):
    workplace(folder)
    (folder / "float64.py").write_text(PLUGIN)
    write_options(folder, OPTIONS)
    return ("-opt", "options.yml", "--set", f"datasets.train.batch_size_per_gpu={batch}")


def weights(folder):
    files = [folder / f"experiments/run/models/{role}_{ITERATIONS}.safetensors" for role in ROLES]
    return [(file.stem, name, tensor) for file in files for name, tensor in load_file(file).items()]


def assert_equal(folder, other):
    for (file, name, tensor), (*_, expected) in zip(weights(folder), weights(other), strict=True):
        torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-6, msg=f"{file} {name}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    result = run("train.py", *prepare(folder, 8), folder=folder)
    assert result.code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    results = [process.finish() for process in ranks(folder, *prepare(folder, 4)[2:])]
    assert [result.code for result in results] == [0, 0], results[0].output
    return folder


def test_two_ranks_equal_one_process(alone, two):
    assert_equal(two, alone)
    losses = [[line["loss/total"] for line in record(one) if line["event"] == "train"] for one in (alone, two)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
    assert len(set(losses[0])) > 2


def resumed(source, folder, batch):
    """Return a copy of a run that stopped halfway, and how it is continued."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    (folder / f"experiments/run/training_states/{ITERATIONS}.json").unlink()
    return "--set", f"datasets.train.batch_size_per_gpu={batch}", "--auto_resume"


@pytest.mark.nightly
def test_two_ranks_continue_a_run_of_one_with_the_same_samples(alone, tmp_path):
    results = [process.finish() for process in ranks(tmp_path, *resumed(alone, tmp_path, 4))]
    assert [result.code for result in results] == [0, 0], results[0].output
    assert "number of ranks (1 -> 2)" in results[0].output
    assert_equal(tmp_path, alone)


@pytest.mark.nightly
def test_one_process_continues_a_run_of_two_ranks_with_the_same_samples(alone, two, tmp_path):
    result = run("train.py", "-opt", "options.yml", *resumed(two, tmp_path, 8), folder=tmp_path)
    assert result.code == 0, result.output
    assert "number of ranks (2 -> 1)" in result.output
    assert_equal(tmp_path, alone)
