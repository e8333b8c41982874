"""The runs of the evidence: an option file, a network, and what is changed in it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.automations.files import File, Tree, shortened, written
from benchmarks.automations.photos import Pairs, Photos
from benchmarks.automations.runner import Arm

PLUGINS = Path(__file__).parent / "plugins"
FLAT_FROM = 0.2
"""Share of the run after which a flat one learns nothing."""


@dataclass(frozen=True)
class Network:
    """A network to train, its optimizer, the side of its LQ crops, and about how many iterations it is trained."""

    title: str
    options: Tree
    optimizer: Tree
    crop: int
    length: int


SMALL = Network("SmallCNN AdamW", {"type": "SmallCNN"}, {"type": "AdamW", "lr": 3e-3}, 24, 800)
COMPACT = Network(
    "Compact 32x8 Muon", {"type": "compact", "num_feat": 32, "num_conv": 8}, {"type": "muon", "lr": 5e-3}, 16, 640
)
NANO_ADAMW = Network("nano AdamW", {"type": "paragonsr2_nano"}, {"type": "AdamW", "lr": 2e-3}, 16, 480)
NANO_MUON = Network("nano Muon", {"type": "paragonsr2_nano"}, {"type": "muon", "lr": 5e-3}, 16, 480)
NETWORKS = (SMALL, COMPACT, NANO_ADAMW, NANO_MUON)


@dataclass(frozen=True)
class Case:
    """A network trained with a file from a seed; runs of one case see the same crops in the same order."""

    network: Network
    file: File
    seed: int


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


class Arms:
    """Builds the runs.

    Args:
        photos: what is trained on and scored with.
        shorter: divisor of the length of every run.
    """

    def __init__(self, photos: Photos, shorter: int = 1) -> None:
        self.photos, self.shorter = photos, shorter

    def on(self, case: Case) -> Arm:
        """Return the run with all automations as the file has them."""
        return Arm(f"{_place(case)}-on", self._tree(case))

    def off(self, case: Case) -> Arm:
        """Return the run without automations: it clips at the user's limit and has the same schedule."""
        return Arm(f"{_place(case)}-off", without_automations(self._tree(case)))

    def at_rate(self, arm: Arm, factor: float) -> Arm:
        """Return a run at a multiple of its learning rate."""
        rate = factor * arm.tree["train"]["optim_g"]["lr"]
        return self._changed(arm, f"rate_x{factor:.3g}", {"train": {"optim_g": {"lr": rate}}}) if factor != 1 else arm

    def with_spikes(self, arm: Arm) -> Arm:
        """Return a run in which 1 % of the gradients are 30 to 10,000 times too large, or not finite."""
        return self._changed(arm, "spikes", {"train": {"losses": [{"type": "SpikyL1Loss"}]}})

    def flat(self, arm: Arm) -> Arm:
        """Return a run that learns nothing after its first fifth."""
        total = arm.tree["train"]["total_iter"]
        optimizer = {"type": "LeashedAdamW", "flat_from": round(FLAT_FROM * total)}
        return self._changed(arm, "flat", {"train": {"optim_g": optimizer}})

    def few(self, arm: Arm) -> Arm:
        """Return a run on few small photos without augmentation."""
        data = {**_dataset(self.photos.few), "use_hflip": False, "use_rot": False, "dataset_enlarge_ratio": 1000}
        return self._changed(arm, "few", {"datasets": {"train": data}})

    @staticmethod
    def _changed(arm: Arm, what: str, change: Tree) -> Arm:
        return replace(arm, name=f"{arm.name}-{what}", tree=merged(arm.tree, change))

    def _tree(self, case: Case) -> Tree:
        """Return the file with its lengths, and with its data, network, optimizer and device replaced."""
        network = case.network
        file = shortened(written(case.file, self.photos.train), network.length // self.shorter)
        train = file["train"]
        kept = ("weight_decay", "betas") if network.optimizer["type"] == "AdamW" else ()
        optimizer = {key: train["optim_g"][key] for key in kept if key in train["optim_g"]} | network.optimizer
        return {
            "scale": 2,
            "num_gpu": 0,
            "plugins": [str(path) for path in sorted(PLUGINS.glob("*.py"))],
            "datasets": {
                "train": {
                    **_dataset(self.photos.train),
                    "lq_size": network.crop,
                    "batch_size_per_gpu": 8,
                    "num_worker_per_gpu": 0,
                    "dataset_enlarge_ratio": 100,
                },
                "val": {"name": self.photos.test_name, **_dataset(self.photos.test)},
            },
            "network_g": network.options,
            "train": {**train, "optim_g": optimizer, "losses": [{"type": "L1Loss"}]},
            "val": {"val_freq": file["val"]["val_freq"], "metrics": {"psnr": {}}},
            "logger": {"print_freq": 100, "save_checkpoint_freq": train["total_iter"], "use_tb_logger": False},
        }


def without_automations(tree: Tree) -> Tree:
    """Return a file that does what the automations of this one do on a run where they have nothing to do."""
    train = tree["train"]
    automations = train["training_automations"]
    rate = automations.get("IntelligentLearningRateScheduler", {})
    limit = automations["AdaptiveGradientClipping"].get("initial_threshold", train.get("grad_clip_max_norm", 1.0))
    change = {"training_automations": None, "dynamic_loss_scheduling": None, "grad_clip_max_norm": limit}
    needs_finish = train.get("scheduler") is None and rate.get("finish", True)
    return merged(tree, {"train": {**change, **({"scheduler": {"type": "FinishLR"}} if needs_finish else {})}})


def _place(case: Case) -> str:
    return f"{case.network.title.replace(' ', '_')}-{case.file}"


def _dataset(pairs: Pairs) -> Tree:
    return {"type": "PairedImageDataset", "dataroot_gt": str(pairs.gt), "dataroot_lq": str(pairs.lq)}
