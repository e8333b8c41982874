"""The option trees of the real runs: what each arm changes in the baseline run of its network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.automations.photos import Pairs, Photos
from benchmarks.automations.runner import Arm

PLUGINS = Path(__file__).parent / "plugins"
TOO_FAST = 10.0
VALIDATIONS, OVERFIT_VALIDATIONS, FREQUENT = 14, 40, 50
QUICK_ITER = 280  # enough for the first spikes of seed 1
RATE_AUTOMATION, CLIPPING_AUTOMATION = "IntelligentLearningRateScheduler", "AdaptiveGradientClipping"
STOPPING_AUTOMATION, BATCH_AUTOMATION = "IntelligentEarlyStopping", "DynamicBatchSizeOptimizer"
Tree = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """A network to train, the best learning rate of a sweep, and its number of iterations.

    `overfit_rate` and `overfit_iter` are those of the run on few images; None skips that run.
    """

    title: str
    options: Tree
    rate: float
    total_iter: int
    schedule: Tree | None = None
    overfit_rate: float | None = None
    overfit_iter: int = 0


NANO = Network("paragonsr2_nano", {"type": "paragonsr2_nano"}, rate=2e-3, total_iter=1400)
CNN = Network("SmallCNN", {"type": "SmallCNN"}, rate=3e-3, total_iter=1500, overfit_rate=3e-3, overfit_iter=3000)
NETWORKS = (CNN, NANO)


def quick(network: Network) -> Network:
    """Return the network with few iterations: every part runs, the figures are meaningless."""
    return replace(network, total_iter=QUICK_ITER, overfit_iter=QUICK_ITER if network.overfit_iter else 0)


def merged(tree: Mapping[str, Any], *changes: Mapping[str, Any]) -> Tree:
    """Return the tree with changes merged in deeply; None removes a key."""
    result = dict(tree)
    for change in changes:
        for key, value in change.items():
            old = result.get(key)
            result[key] = (
                merged(old if isinstance(old, Mapping) else {}, value) if isinstance(value, Mapping) else value
            )
    return {key: value for key, value in result.items() if value is not None}


def base_tree(photos: Photos, network: Network) -> Tree:
    """Return the baseline run: batch 8, crops of 24 LQ (48 GT) pixels, AdamW, L1, gradient norms clipped at 1."""
    return {
        "scale": 2,
        "num_gpu": 0,
        "plugins": [str(path) for path in sorted(PLUGINS.glob("*.py"))],
        "datasets": {
            "train": {
                **_dataset(photos.train),
                "lq_size": 24,
                "batch_size_per_gpu": 8,
                "num_worker_per_gpu": 0,
                "dataset_enlarge_ratio": 100,
            },
            "val": {"name": photos.test_name, **_dataset(photos.test)},
        },
        "network_g": network.options,
        "train": {
            "total_iter": network.total_iter,
            "warmup_iter": 50,
            "grad_clip": True,
            "grad_clip_max_norm": 1.0,
            "optim_g": {"type": "AdamW", "lr": network.rate, "weight_decay": 0, "betas": [0.9, 0.99]},
            **({"scheduler": network.schedule} if network.schedule else {}),
            "losses": [{"type": "L1Loss"}],
        },
        "val": {"val_freq": max(FREQUENT, network.total_iter // VALIDATIONS), "metrics": {"psnr": {}}},
        "logger": {"print_freq": 100, "save_checkpoint_freq": network.total_iter, "use_tb_logger": False},
    }


def _dataset(pairs: Pairs) -> Tree:
    return {"type": "PairedImageDataset", "dataroot_gt": str(pairs.gt), "dataroot_lq": str(pairs.lq)}


def with_automations(**automations: Tree) -> Tree:
    """Return the change that enables automations, with their options."""
    return {"train": {"training_automations": {"enabled": True, **automations}}}


def everything() -> Tree:
    """Return the change that enables every automation with its defaults."""
    names = (RATE_AUTOMATION, BATCH_AUTOMATION, CLIPPING_AUTOMATION, STOPPING_AUTOMATION)
    balance: Tree = {"train": {"dynamic_loss_scheduling": {"enabled": True}}}
    return merged(with_automations(**{name: {"enabled": True} for name in names}), balance)


def arms(photos: Photos, network: Network) -> dict[str, Arm]:
    """Return the arms that train on all photos, by what they change: `sound` changes nothing."""
    rate_automation = with_automations(**{RATE_AUTOMATION: {"plateau_patience": network.total_iter // 7}})
    fast: Tree = {"train": {"optim_g": {"lr": TOO_FAST * network.rate}}}
    spikes: Tree = {"train": {"losses": [{"type": "SpikyL1Loss"}]}}
    unlimited: Tree = {"train": {"grad_clip": False, "grad_clip_max_norm": None}}
    changes: dict[str, list[Tree]] = {
        "sound": [],
        "sound-rate_automation": [rate_automation],
        "fast": [fast],
        "fast-rate_automation": [fast, rate_automation],
        "spikes": [spikes, unlimited],
        "spikes-fixed_limit": [spikes],
        "spikes-clipping_automation": [spikes, with_automations(**{CLIPPING_AUTOMATION: {"enabled": True}})],
        "sound-all_automations": [everything()],
    }
    base = base_tree(photos, network)
    return {name: Arm(f"{network.title}-{name}", merged(base, *given)) for name, given in changes.items()}


def overfit_arms(photos: Photos, network: Network) -> dict[str, Arm]:
    """Return the arms that train on few small photos without augmentation: `few`, and with early stopping."""
    total = network.overfit_iter
    frequency = max(FREQUENT, total // OVERFIT_VALIDATIONS)
    few: Tree = {
        "datasets": {
            "train": {**_dataset(photos.few), "dataset_enlarge_ratio": 1000, "use_hflip": False, "use_rot": False}
        },
        "train": {"total_iter": total, "optim_g": {"lr": network.overfit_rate}, "scheduler": None},
        "val": {"val_freq": frequency},
        "logger": {"save_checkpoint_freq": total},
    }
    stopping = {
        "patience": 5 * frequency,
        "min_iterations": 8 * frequency,
        "warmup_iterations": 3 * frequency,
    }
    base = merged(base_tree(photos, network), few)
    with_stop = merged(base, with_automations(**{STOPPING_AUTOMATION: stopping}))
    return {"few": Arm(f"{network.title}-few", base), "few-stopping": Arm(f"{network.title}-few-stopping", with_stop)}
