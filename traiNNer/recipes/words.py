"""Names of neosr for what is called otherwise here. Words of traiNNer-redux and BasicSR are known to the loader."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class Translated:
    """What a component of another framework is here."""

    name: str = ""
    """Its name here; empty where it is the same."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Options with another name here."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Options that are no options here, with the only value that there is."""
    values: Mapping[tuple[str, Any], Any] = field(default_factory=dict)
    """Values of options that are called otherwise here."""
    but: str = ""
    """In what it differs."""


PAIRS = Translated("PairedImageDataset")
OTHER_NETWORK = ", another network: weights of it do not fit"
COMPONENTS: Mapping[str, Mapping[str, Translated]] = {
    "datasets.*": {"paired": PAIRS, "single": PAIRS},
    "network_g": {
        "rrdbnet": Translated(
            "esrgan",
            {"num_feat": "num_filters", "num_block": "num_blocks", "num_in_ch": "in_nc", "num_out_ch": "out_nc"},
            {"num_grow_ch": 32},
        ),
        "srvggnetcompact": Translated("compact", {"num_in_ch": "in_chans"}, {"num_out_ch": 3, "act_type": "prelu"}),
    },
    "network_d": {
        "unet": Translated("unetdiscriminatorsn"),
        "patchgan": Translated("patchgandiscriminatorsn", but=OTHER_NETWORK),
        "metagan": Translated("metagan3", but=OTHER_NETWORK),
        "metagan2": Translated("metagan3", but=OTHER_NETWORK),
    },
    "train.scheduler": {"cosineannealing": Translated("CosineAnnealingLR")},
    "train.losses.*": {
        "gan_loss": Translated("GANLoss", values={("gan_type", "bce"): "vanilla"}),
        "vgg_perceptual_loss": Translated("PerceptualLoss"),
    },
}
"""Components by section and name in lower case."""

STAND_INS = {"adan_sf": ("Adan", "ScheduleFreeAdamW"), "adamw_sf": ("AdamW", "ScheduleFreeAdamW")}
"""Optimizers with a switch `schedule_free`: what stands in with it off and on."""
