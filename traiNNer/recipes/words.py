"""Names of neosr for what is called otherwise here. Words of traiNNer-redux and BasicSR are known to the loader."""

MOVED = (
    ("", "bfloat16", "amp_bf16"),
    ("", "compile", "use_compile"),
    ("datasets.*", "patch_size", "lq_size"),
    ("datasets.*", "batch_size", "batch_size_per_gpu"),
    ("datasets.*", "accumulate", "accum_iter"),
    ("train", "ema", "ema_decay"),
    ("train.optim_g", "warmup_steps", "train.warmup_iter"),
    ("logger", "total_iter", "train.total_iter"),
    ("val", "tile", "tile_size"),
)
"""Section, key there, and new key: in the same section, or from the top where it has a dot. `*` is any set."""

TYPES = {
    "datasets.*": {"paired": "PairedImageDataset", "single": "PairedImageDataset"},
    "train.scheduler": {"cosineannealing": "CosineAnnealingLR"},
}
"""Components by section and name in lower case."""

STAND_INS = {"adan_sf": ("Adan", "ScheduleFreeAdamW"), "adamw_sf": ("AdamW", "ScheduleFreeAdamW")}
"""Optimizers with a switch `schedule_free`: what stands in with it off and on."""
