"""Words of traiNNer-redux, neosr and BasicSR that mean nothing here, and what a file that has them is answered.

A word counts only where its section does not know the key, so an option that is added here needs no change. Each has
the values with which it says nothing: those are passed over and noted. With any other value the file asks for something
that would not happen, and is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from traiNNer.config.foreign_names import NO_DEGRADATION, NO_VIDEO

OFF = (None, False, 0, "off", "no", "none", "None", "")
Section = Mapping[str, Any]
"""The plain values beside a key."""


@dataclass(frozen=True)
class Word:
    """What became of a key, and when it says nothing: with one of `idle` values, or where `is_idle` holds."""

    answer: str
    """Why a file that means it is refused, and what to do."""
    idle: tuple[Any, ...] = OFF
    is_idle: Callable[[Section], bool] = lambda _: False
    """Whether the section beside it switches it off."""
    note: str = "says nothing new"
    """What is noted where it is passed over."""

    def says_nothing(self, value: Any, section: Section) -> bool:
        """Tell whether a file may have the key all the same."""
        return any(value is idle or value == idle for idle in self.idle) or self.is_idle(section)


def passed_over(note: str) -> Word:
    """Return a word that is never refused: what it does happens anyway, or changes nothing that is trained."""
    return Word("", is_idle=lambda _: True, note=note)


def _numbered(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{number}" for name in names for number in ("", "2", "3"))


NO_TEACHER = "traiNNer trains no network after another one. Remove it"
NO_DISCRIMINATOR = "there is no discriminator: add network_d, or remove it"
NO_MIX = "traiNNer mixes no images with each other. Remove it, or set use_moa: false"
AS_LOSS = "is an old spelling: write an item `{type: ..., loss_weight: ...}` of train.losses"
# Where these are on, high_order_degradation, the dataset or use_moa is refused already.
OF_DEGRADATION = passed_over("degradations are made while training only with high_order_degradation")
OF_MIXING = passed_over("images are mixed only with use_moa")
SAMPLE_ORDER = passed_over("the sample order is a function of manual_seed")
READING = passed_over("images are read ahead anyway")
SECOND_WEIGHTS = Word("only network_g starts from weights of a file. Remove it")

DEGRADATION = (
    *_numbered("blur_prob", "resize_prob", "resize_mode_list", "resize_mode_prob", "resize_range", "noise_range"),
    *_numbered("gaussian_noise_prob", "poisson_scale_range", "gray_noise_prob", "jpeg_prob", "jpeg_range"),
    "high_order_degradations_debug",
    "high_order_degradations_debug_limit",
    "thicklines_prob",
    "dataroot_lq_prob",
    "lq_usm",
    "lq_usm_radius_range",
    "gt_usm",
    "queue_size",
)
KERNELS = (
    *_numbered("blur_kernel_size", "kernel_list", "kernel_prob", "kernel_range", "sinc_prob", "blur_sigma"),
    *_numbered("betag_range", "betap_range"),
    "final_sinc_prob",
    "final_kernel_range",
)
COMPILED = passed_over("use_compile knows one mode")
WORDS: Mapping[str, Mapping[str, Word]] = {
    "": {
        **dict.fromkeys(DEGRADATION, OF_DEGRADATION),
        "high_order_degradation": Word(NO_DEGRADATION, note="it is off"),
        "compile_mode": COMPILED,
        "detect_anomaly": passed_over("what is not finite is named and skipped anyway"),
        "input_pixel_format": Word("images are trained in RGB. Remove it", idle=(*OFF, "rgb")),
        "output_pixel_format": Word("images are trained in RGB. Remove it", idle=(*OFF, "rgb")),
        "network_g_teacher": Word(NO_TEACHER),
        "network_ae": Word(NO_TEACHER),
        "model_type": Word(
            "is an old spelling: remove it, or write model: with a model of this version",
            idle=(*OFF, "SRModel", "sr", "image", "default"),
            note="the model is chosen by the networks of the file",
        ),
        "gpu_ids": passed_over("num_gpu chooses the devices"),
        "dist_params": passed_over("torchrun tells what is needed"),
        "find_unused_parameters": passed_over("it is not needed"),
    },
    "datasets.<name>": {
        **dict.fromkeys(KERNELS, OF_DEGRADATION),
        "prefetch_mode": READING,
        "num_prefetch_queue": READING,
        "use_shuffle": SAMPLE_ORDER,
        "phase": passed_over("the key of the set tells it"),
        "io_backend": Word(
            "images are read from folders only: give dataroot_gt and dataroot_lq as folders",
            is_idle=lambda section: (section.get("io_backend") or {}).get("type", "disk") == "disk",
            note="images are read from folders anyway",
        ),
        "filename_tmpl": passed_over("endings such as x2 and _lr are found by the names"),
        "clip_size": Word(NO_VIDEO, idle=(*OFF, 1)),
        "color": Word("images are trained in RGB. Remove it", idle=(*OFF, "rgb", "color")),
        "mean": Word("pixels are trained in [0, 1]. Remove it"),
        "std": Word("pixels are trained in [0, 1]. Remove it"),
    },
    "train": {
        "use_moa": Word(NO_MIX, note="it is off"),
        **dict.fromkeys(("moa_augs", "moa_probs", "moa_debug", "moa_debug_limit"), OF_MIXING),
        "ema_power": passed_over(
            "the EMA begins with a short memory by a fixed rule, min(ema_decay, (1 + n) / (10 + n))"
        ),
        "ema_update_after_step": passed_over("the EMA begins with the first iteration, with a short memory"),
        "ema_switch_iter": Word("the network is never replaced by its EMA. Remove it"),
        "adaptive_d": Word("write `model: {type: adversarial, pause_d_above: 0.9}` for a discriminator that pauses"),
        "restart_scheduler": passed_over("a schedule is a function of the iteration and has no state"),
        "net_d_iters": Word(NO_DISCRIMINATOR, idle=(*OFF, 1)),
        "net_d_init_iters": Word(NO_DISCRIMINATOR),
        "optim_ae": Word(NO_TEACHER),
        "optim_a": Word(NO_TEACHER),
        **dict.fromkeys(
            (
                *("pixel_opt", "perceptual_opt", "gan_opt", "mssim_opt", "ldl_opt", "dists_opt", "ff_opt", "gw_opt"),
                *("color_opt", "luma_opt", "hsluv_opt", "cosim_opt", "bicubic_opt", "avg_opt", "fdl_opt", "mae_opt"),
            ),
            Word(AS_LOSS),
        ),
    },
    "path": {
        **dict.fromkeys(
            (
                *("pretrain_network_d", "pretrain_network_g_teacher", "pretrain_network_ae"),
                *("pretrain_network_ae_decoder", "param_key_d", "param_key_ae", "param_key_ae_decoder"),
            ),
            SECOND_WEIGHTS,
        ),
        **dict.fromkeys(
            ("strict_load_d", "strict_load_ae", "strict_load_ae_decoder", "strict_load_g_teacher"),
            passed_over("only network_g starts from weights of a file"),
        ),
        "ignore_resume_networks": Word("a resume takes every network of the state. Remove it", idle=(*OFF, [], "")),
    },
    "val": {
        "suffix": Word("results have the names of their images. Remove it"),
        "pbar": passed_over("progress is shown where a terminal is"),
    },
    "logger": {
        "use_wandb": passed_over("logger.wandb.project switches it on"),
    },
}
"""The words by section."""


@dataclass(frozen=True)
class Default:
    """An option that stands for another value in traiNNer-redux when a file leaves it out."""

    path: tuple[str, ...]
    theirs: Any
    """What the file would mean there."""
    needs: tuple[str, ...] = ()
    """The option that must be on for the value to matter."""


DEFAULTS = (
    Default(("train", "ema_decay"), 0),
    Default(("train", "grad_clip_max_norm"), 100, ("train", "grad_clip")),
    Default(("path", "strict_load_g"), True, ("path", "pretrain_network_g")),
    Default(("val", "tile_overlap"), 0, ("val", "tile_size")),
)
OPTION_DEFAULTS: Mapping[str, tuple[str, Any]] = {
    "psnr": ("test_y_channel", False),
    "ssim": ("test_y_channel", False),
    # Theirs is sqrt(d² + eps) with 1e-12; ours squares eps.
    "charbonnierloss": ("eps", 1e-6),
}
"""Options of components by folded name, with the value that traiNNer-redux takes for them."""
