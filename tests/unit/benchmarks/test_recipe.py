"""The benchmark of the recipe: every arm is a file that can be trained, and scores are compared seed by seed."""

import pytest

from benchmarks.recipe import BASE, arms, interval, merged, table
from traiNNer.config.load import check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import node_of

BASE_TREE = {
    "name": "run",
    "scale": 2,
    "datasets": {"train": {"type": "SingleGTDataset", "dataroot_gt": "hr", "lq_size": 32, "batch_size_per_gpu": 8}},
    "network_g": {"type": "compact", "num_feat": 32, "num_conv": 8},
    "train": {
        "end_at": "60s",
        "decay_share": 0.95,
        "warmup_iter": 30,
        "optim_g": {"type": "Muon", "lr": 5e-3, "momentum": 0.9, "weight_decay": 0.0},
        "losses": [{"type": "L1Loss"}],
        "training_automations": {"enabled": True, "AdaptiveGradientClipping": {"enabled": True}},
    },
    "val": {"val_enabled": False},
}


@pytest.mark.parametrize("arm", arms(60))
def test_every_arm_is_a_valid_file(arm):
    tree = merged(BASE_TREE, arms(60)[arm])
    assert check_tree(node_of(tree), TrainOptions, "the arm").options.name == "run"
    assert (tree == BASE_TREE) == (arm == BASE)


def test_table_compares_seed_by_seed():
    runs = [(BASE, 0, 30.0), (BASE, 1, 31.0), ("other", 0, 30.5), ("other", 1, 31.1)]
    results = [{"arm": arm, "seed": seed, "iterations": 100, "scores": {"a": s, "b": s}} for arm, seed, s in runs]
    assert table(results).splitlines()[-1] == "| other | 100 | 30.80 | 30.80 | +0.30 ± 0.40 | +0.30 ± 0.40 |"


def test_one_seed_has_no_interval():
    assert interval([0.25]) == "+0.25"
    assert interval([]) == ""
