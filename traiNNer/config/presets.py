"""The two philosophies of a run: convenience gets a good network with little patience, fidelity the best one with much.

Every value that a preset decides stands here, with its reason; what depends on the data or the machine does not.
"""

from typing import Any, Literal

Preset = Literal["convenience", "fidelity"]
HELPERS = "train.training_automations"
RATE = f"{HELPERS}.IntelligentLearningRateScheduler"
STOPPING = f"{HELPERS}.IntelligentEarlyStopping"
BATCH = f"{HELPERS}.DynamicBatchSizeOptimizer"
CLIPPING = f"{HELPERS}.AdaptiveGradientClipping"

# key: (value of convenience, value of fidelity, reason)
VALUES: dict[str, tuple[Any, Any, str]] = {
    "train.total_iter": (40_000, 80_000, "iterations"),
    "train.warmup_iter": (1000, 2000, "iterations over which the rate rises from zero"),
    "train.optim_g.lr": (2e-4, 1e-4, "highest learning rate"),
    "train.optim_g.weight_decay": (1e-4, 5e-5, "pull of the weights towards zero"),
    f"{HELPERS}.enabled": (True, True, "five helpers watch the run: docs/automations.md"),
    f"{RATE}.enabled": (True, True, ""),
    f"{RATE}.plateau_patience": (1000, 2000, "iterations of evidence before the rate is lowered"),
    f"{RATE}.improvement_threshold": (0.001, 0.0005, "flat means: less gain than this share per patience"),
    f"{RATE}.min_lr_factor": (0.1, 0.5, "the rate is never lowered further than to this factor"),
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


def preset_values(preset: Preset) -> dict[str, tuple[Any, str]]:
    """Return every value of a preset with its reason, by key."""
    place = 0 if preset == "convenience" else 1
    return {key: (row[place], row[2]) for key, row in VALUES.items()}
