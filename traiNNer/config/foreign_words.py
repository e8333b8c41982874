"""Words of traiNNer-redux, neosr and BasicSR that mean nothing here, and what a file that has them is answered.

A word counts only where its section does not know the key, so an option that is added here needs no change. Each has
the values with which it says nothing: those are passed over and noted. With any other value the file asks for something
that would not happen, and is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from traiNNer.config.foreign_names import NO_CLIPS, NO_DEGRADATION

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
MIXING = "mixing images is written `use_moa: true` with moa_augs and moa_probs in train"
AS_LOSS = "is an old spelling: write an item `{type: ..., loss_weight: ...}` of train.losses"
# With realesrgandataset they are translated before; else high_order_degradation is refused already.
OF_DEGRADATION = passed_over("degradations are made while training only with high_order_degradation")
SHOWN = passed_over("`trainner preview` shows degraded images, and what was drawn for each")
SAMPLE_ORDER = passed_over("the sample order is a function of manual_seed")
PLAIN_MODELS = ("SRGANModel", "ESRGANModel", "RealESRNetModel", "RealESRGANModel", "SwinIRModel", "otf")
"""Models of BasicSR and neosr that the networks and datasets of a file tell."""
OF_ITS_OWN = passed_over("the framework of the file set it by itself")
READING = passed_over("images are read ahead anyway")
SECOND_WEIGHTS = Word("only network_g starts from weights of a file. Remove it")

DEGRADATION = (
    *_numbered("blur_prob", "resize_prob", "resize_mode_list", "resize_mode_prob", "resize_range", "noise_range"),
    *_numbered("gaussian_noise_prob", "poisson_scale_range", "gray_noise_prob", "jpeg_prob", "jpeg_range"),
    "thicklines_prob",
    "dataroot_lq_prob",
    "lq_usm",
    "lq_usm_radius_range",
    "gt_usm",
)
KERNELS = (
    *_numbered("kernel_list", "kernel_prob", "kernel_range", "sinc_prob", "blur_sigma"),
    *_numbered("betag_range", "betap_range"),
    "final_sinc_prob",
    "final_kernel_range",
)
COMPILED = passed_over("use_compile knows one mode")
WORDS: Mapping[str, Mapping[str, Word]] = {
    "": {
        **dict.fromkeys(DEGRADATION, OF_DEGRADATION),
        "queue_size": passed_over("there is no queue: every image has parameters drawn for it alone"),
        **dict.fromkeys(("high_order_degradations_debug", "high_order_degradations_debug_limit"), SHOWN),
        "high_order_degradation": Word(NO_DEGRADATION, note="it is off"),
        "compile_mode": COMPILED,
        **dict.fromkeys(("l1_gt_usm", "percep_gt_usm", "gan_gt_usm"), Word("no image is sharpened. Remove it")),
        "detect_anomaly": passed_over("what is not finite is named and skipped anyway"),
        "input_pixel_format": Word("images are trained in RGB. Remove it", idle=(*OFF, "rgb")),
        "output_pixel_format": Word("images are trained in RGB. Remove it", idle=(*OFF, "rgb")),
        "network_g_teacher": Word(NO_TEACHER),
        "network_ae": Word(NO_TEACHER),
        "model_type": Word(
            "is an old spelling: remove it, or write model: with a model of this version",
            idle=(*OFF, "SRModel", "sr", "image", "default", *PLAIN_MODELS),
            note="the model is chosen by the networks of the file",
        ),
        "onnx": passed_over("a training run exports nothing"),
        "watch": passed_over("a run has its own curves"),
        **dict.fromkeys(("launcher", "rank", "world_size"), passed_over("torchrun tells what is needed")),
        **dict.fromkeys(("start_iter", "is_train", "root_path", "contents", "switch_iter_per_epoch"), OF_ITS_OWN),
        "gpu_ids": passed_over("num_gpu chooses the devices"),
        "dist_params": passed_over("torchrun tells what is needed"),
        "find_unused_parameters": passed_over("it is not needed"),
    },
    "datasets.<name>": {
        **dict.fromkeys(KERNELS, OF_DEGRADATION),
        **dict.fromkeys(_numbered("blur_kernel_size"), passed_over("kernels are as large as kernel_range says")),
        "prefetch_mode": READING,
        "prefetch_factor": READING,
        "persistent_workers": READING,
        "lq_resize_mode": Word("singlegtdataset shrinks with the bicubic of MATLAB. Remove it", idle=(*OFF, "bicubic")),
        "num_prefetch_queue": READING,
        "use_shuffle": SAMPLE_ORDER,
        "phase": passed_over("the key of the set tells it"),
        "io_backend": Word(
            "images are read from folders only: give dataroot_gt and dataroot_lq as folders",
            is_idle=lambda section: (section.get("io_backend") or {}).get("type", "disk") == "disk",
            note="images are read from folders anyway",
        ),
        "filename_tmpl": passed_over("endings such as x2 and _lr are found by the names"),
        "augmentation": Word(MIXING, idle=(*OFF, [], ["none"])),
        "aug_prob": passed_over("images are mixed only with use_moa"),
        "clip_size": Word(NO_CLIPS, idle=(*OFF, 1)),
        "color": Word("images are trained in RGB. Remove it", idle=(*OFF, "rgb", "color")),
        "mean": Word("pixels are trained in [0, 1]. Remove it"),
        "std": Word("pixels are trained in [0, 1]. Remove it"),
    },
    "train": {
        **dict.fromkeys(("moa_debug", "moa_debug_limit"), passed_over("mixed images are not written to files")),
        "ema_power": passed_over(
            "the EMA begins with a short memory by a fixed rule, min(ema_decay, (1 + n) / (10 + n))"
        ),
        "ema_update_after_step": passed_over("the EMA begins with the first iteration, with a short memory"),
        "ema_switch_iter": Word("the network is never replaced by its EMA. Remove it"),
        "adaptive_d": Word("write `model: {type: adversarial, pause_d_above: 0.9}` for a discriminator that pauses"),
        **dict.fromkeys(
            ("adaptive_d_ema_decay", "adaptive_d_threshold"),
            passed_over("model: {type: adversarial, pause_d_above: 0.9} pauses a discriminator by its accuracy"),
        ),
        "eco": Word(NO_TEACHER, is_idle=lambda section: section.get("eco") in ({}, {"enabled": False})),
        "eco_init": passed_over("it says when eco begins"),
        "sam": Word("no step is taken twice. Remove it"),
        "sam_init": passed_over("it says when sam begins"),
        "wavelet_guided": Word("no loss is computed of wavelets first: add waveletloss to train.losses, or remove it"),
        "wavelet_init": passed_over("it says when wavelet_guided begins"),
        "match_lq_colors": Word("no target is changed: add consistencyloss to train.losses, or remove it"),
        "restart_scheduler": passed_over("a schedule is a function of the iteration and has no state"),
        "net_d_iters": Word(NO_DISCRIMINATOR, idle=(*OFF, 1)),
        "net_d_init_iters": Word(NO_DISCRIMINATOR),
        "optim_ae": Word(NO_TEACHER),
        "optim_a": Word(NO_TEACHER),
        **dict.fromkeys(
            (
                *("pixel_opt", "perceptual_opt", "gan_opt", "mssim_opt", "ldl_opt", "dists_opt", "ff_opt", "gw_opt"),
                *("color_opt", "luma_opt", "hsluv_opt", "cosim_opt", "bicubic_opt", "avg_opt", "fdl_opt", "mae_opt"),
                *(
                    "ms_ssim_l1_opt",
                    "contextual_opt",
                    "hr_inversion_opt",
                    "dinov2_opt",
                    "topiq_opt",
                    "pd_opt",
                    "fd_opt",
                ),
            ),
            Word(AS_LOSS),
        ),
    },
    "train.losses": {
        "reduction": Word("a loss is the mean over all pixels. Remove it", idle=(*OFF, "mean")),
        "vgg_type": Word("the features are those of vgg19. Remove it", idle=(*OFF, "vgg19")),
        "use_input_norm": Word("images are always normalized for VGG19. Remove it", idle=(None, True)),
        "range_norm": Word("images are in [0, 1] already. Remove it"),
    },
    "path": {
        **dict.fromkeys(
            (
                *("pretrain_network_d", "pretrain_network_g_teacher", "pretrain_network_ae"),
                *("pretrain_network_ae_decoder", "param_key_d", "param_key_ae", "param_key_ae_decoder"),
                *("pretrain_network_ae_path", "pretrain_network_ae_ema", "pretrain_network_ae_decoder_ema"),
            ),
            SECOND_WEIGHTS,
        ),
        **dict.fromkeys(
            ("strict_load_d", "strict_load_ae", "strict_load_ae_decoder", "strict_load_g_teacher"),
            passed_over("only network_g starts from weights of a file"),
        ),
        **dict.fromkeys(("pretrain_network_g_path", "pretrain_network_g_ema"), Word("write pretrain_network_g")),
        "results_root": Word("results are written below results/. Remove it"),
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
