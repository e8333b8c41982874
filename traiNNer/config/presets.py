"""The two philosophies of a run: convenience gets a good network with little patience, fidelity the best one with much.

Every value that a preset decides stands here, with its reason; what depends on the data or the machine does not.
"""

from typing import Any, Literal, NamedTuple

Preset = Literal["convenience", "fidelity"]
AUTOMATIONS = "train.training_automations"
RATE = f"{AUTOMATIONS}.IntelligentLearningRateScheduler"
STOPPING = f"{AUTOMATIONS}.IntelligentEarlyStopping"
BATCH = f"{AUTOMATIONS}.DynamicBatchSizeOptimizer"
CLIPPING = f"{AUTOMATIONS}.AdaptiveGradientClipping"


class PresetValue(NamedTuple):
    """What an option is in each of the presets, and the comment beside it."""

    convenience: Any
    fidelity: Any
    reason: str


class Reasoned(NamedTuple):
    """A value and the comment beside it."""

    value: Any
    reason: str


_ROWS: dict[str, tuple[Any, Any, str]] = {
    "train.total_iter": (40_000, 80_000, "iterations"),
    "train.warmup_iter": (1000, 2000, "iterations over which the learning rate rises from zero"),
    "train.optim_g.lr": (2e-4, 1e-4, "highest learning rate"),
    "train.optim_g.weight_decay": (1e-4, 5e-5, "weight decay"),
    f"{AUTOMATIONS}.enabled": (True, True, "five automations watch the run: docs/automations.md"),
    f"{RATE}.enabled": (True, True, ""),
    f"{RATE}.plateau_patience": (1000, 2000, "iterations of evidence before the learning rate is lowered"),
    f"{RATE}.improvement_threshold": (0.001, 0.0005, "flat means: less gain than this share per patience"),
    f"{RATE}.min_lr_factor": (0.1, 0.5, "lowest factor of the learning rate"),
    f"{BATCH}.enabled": (True, True, "splits a step that does not fit into memory; idle on the CPU"),
    f"{CLIPPING}.enabled": (True, True, ""),
    f"{STOPPING}.enabled": (True, True, ""),
    f"{STOPPING}.preset": ("convenience", "fidelity", "how sure a stop has to be"),
    f"{STOPPING}.patience": (2000, 5000, "iterations without a better score before stopping is considered"),
    f"{STOPPING}.min_improvement": (0.001, 0.0005, "dB that count as better"),
    f"{STOPPING}.monitor_metric": ("val/psnr", "val/psnr", ""),
    "train.dynamic_loss_scheduling.enabled": (True, True, "balances several losses; one needs nothing"),
    "val.val_freq": (1000, 500, "iterations between validations"),
}
VALUES = {key: PresetValue(*row) for key, row in _ROWS.items()}


def preset_values(preset: Preset) -> dict[str, Reasoned]:
    """Return every value of a preset with its reason, by key."""
    return {key: Reasoned(getattr(row, preset), row.reason) for key, row in VALUES.items()}
