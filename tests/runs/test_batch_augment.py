"""A run that mixes its images resumes bitwise exactly, split for memory or not, with an automation beside it."""

import shutil

import pytest
import torch
from runkit import record, run, workplace, write_options
from safetensors.torch import load_file

MIXED = {
    "train": {
        "total_iter": 8,
        "use_moa": True,
        "moa_augs": ["none", "mixup", "cutmix", "resizemix", "cutblur"],
        "moa_probs": [0.2, 0.2, 0.2, 0.2, 0.2],
        "training_automations": {"enabled": True, "AdaptiveGradientClipping": {"enabled": True}},
    },
    "datasets": {"train": {"accum_iter": 2, "num_worker_per_gpu": 1}},
}
ARGUMENTS = ("train.py", "-opt", "options.yml")


def weights(folder, iteration=8):
    return load_file(folder / f"experiments/run/models/net_g_{iteration}.safetensors")


def trained(folder):
    return [entry for entry in record(folder) if entry["event"] in ("train", "validation")]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = workplace(tmp_path_factory.mktemp("mixed"))
    write_options(folder, MIXED)
    result = run(*ARGUMENTS, folder=folder)
    assert result.code == 0, result.output
    return folder


def copy_at_five(straight, folder):
    """Copy the run without what it saved at its end."""
    shutil.copytree(straight, folder, dirs_exist_ok=True)
    root = folder / "experiments/run"
    for path in (*root.glob("training_states/8.*"), *root.glob("models/*_8.*")):
        path.unlink()


def test_resume_is_bitwise_exact(straight, tmp_path):
    copy_at_five(straight, tmp_path)
    again = run(*ARGUMENTS, "--auto_resume", "--set", "datasets.train.num_worker_per_gpu=0", folder=tmp_path)
    assert again.code == 0, again.output
    assert "Resuming run at iteration 5 (exact)." in again.output
    expected = weights(straight)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path).items())
    assert trained(tmp_path) == trained(straight)


def test_other_probabilities_train_another_network_and_end_exactness(straight, tmp_path):
    copy_at_five(straight, tmp_path)
    again = run(*ARGUMENTS, "--auto_resume", "--set", "train.use_moa=false", folder=tmp_path)
    assert "Exact resume is off: train.use_moa (true -> false)" in again.output
    assert again.code == 0, again.output
    found, expected = weights(tmp_path), weights(straight)
    assert not all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
