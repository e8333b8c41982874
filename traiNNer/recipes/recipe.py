"""A recipe: the settings of a purpose, written as a short option file with a reason beside every value."""

import json
import re
from dataclasses import dataclass

from traiNNer.config.tree import looks_like_other
from traiNNer.errors import ConfigError
from traiNNer.recipes.gan import gan_stages
from traiNNer.registry import ARCHS, UnknownComponent
from traiNNer.traits import ArchTraits

COLUMN = 28
USUAL_CROP, USUAL_RATE, USUAL_BATCH = 48, 5e-4, 8
TRAIN, VAL = "datasets/train", "datasets/val"


@dataclass(frozen=True)
class Purpose:
    """What a recipe decides: shares of the run are milestones of a learning rate that is halved."""

    title: str
    total_iter: int
    rate_factor: float
    """Of the learning rate that the arch is trained from scratch with."""
    milestones: tuple[float, ...]
    warmup_iter: int
    pretrained: bool
    stages: bool = False
    """Whether a GAN stage follows."""
    clips: bool = False
    """Whether it is for networks that see several frames at once."""
    photos: bool = False
    """Whether the small images are made of the large ones while training."""


PURPOSES = {
    "fidelity": Purpose(
        "as close to the ground truth as it gets, for small images that were made by scaling alone",
        500_000, 1.0, (0.5, 0.8, 0.9, 0.95), 0, pretrained=False,
    ),
    "finetune": Purpose(
        "published or own weights trained further on other images, at a lower learning rate",
        100_000, 0.2, (0.5, 0.8), 500, pretrained=True,
    ),
    "gan": Purpose(
        "sharp, with texture that is likely, not certain: first for fidelity, then as a GAN",
        500_000, 1.0, (0.5, 0.8, 0.9, 0.95), 0, pretrained=False, stages=True,
    ),
    "realworld": Purpose(
        "images as they are found, blurred, noisy and compressed: the small ones are made of photos while training",
        500_000, 1.0, (0.5, 0.8, 0.9, 0.95), 0, pretrained=False, photos=True,
    ),
    "video": Purpose(
        "films, by a network that sees the frames around each one and makes it from all of them",
        300_000, 1.0, (0.5, 0.8, 0.9, 0.95), 500, pretrained=False, clips=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Folders and files that a recipe names."""

    gt: str = f"{TRAIN}/hr"
    lq: str = f"{TRAIN}/lr"
    val_gt: str = f"{VAL}/hr"
    val_lq: str = f"{VAL}/lr"
    weights: str = "pretrained.safetensors"


def write_recipe(
    arch: str, purpose: str, scale: int | None = None, places: Places | None = None, schema: str = "", name: str = ""
) -> str:
    """Return the option file of a recipe.

    Args:
        arch: name of the network, in any case.
        purpose: `fidelity`, `finetune`, `gan`, `realworld` or `video`.
        scale: by default 2, or the smallest above 1 that the arch is made for.
        places: folders of images.
        schema: path of the JSON schema relative to the file, for editors; empty for none.
        name: of the run; by default made of scale, arch and purpose.

    Raises:
        ConfigError: no arch or recipe has that name, or the arch is not made for that scale or for films.
    """
    chosen = _purpose(purpose)
    try:
        component = ARCHS[arch]
    except UnknownComponent as error:
        raise ConfigError(f"--arch {arch}: {error}") from None
    if chosen.clips and not component.traits.frames_option:
        films = ", ".join(one.name for one in ARCHS if one.traits.frames_option)
        raise ConfigError(f"--recipe video: {component.name} sees single images; networks of clips: {films}")
    scale = _scale(component.name, component.traits.scales, scale)
    values = _values(component.name, component.traits, chosen, scale, places or Places())
    values |= _of_clips(component.traits.frames(component.options().model_dump()))
    title = name or f"{scale}x_{component.name}_{purpose}"
    data = (PHOTOS if chosen.photos else PAIRS).format(**values)
    text = TEMPLATE.format(name=title, about=f"{purpose}: {chosen.title}", data=data, **values)
    text = aligned(f"{text}\n{gan_stages(float(values['rate']))}" if chosen.stages else text)
    return (f"# yaml-language-server: $schema={schema}\n" if schema else "") + text


def _purpose(name: str) -> Purpose:
    if name in PURPOSES:
        return PURPOSES[name]
    raise ConfigError(f"--recipe {name}: no such recipe; known: {', '.join(PURPOSES)}")


def _scale(arch: str, scales: tuple[int, ...], wanted: int | None) -> int:
    if wanted is None:
        return 2 if 2 in scales or not scales else min((one for one in scales if one > 1), default=scales[0])
    if scales and wanted not in scales:
        raise ConfigError(f"--scale {wanted}: {arch} is made for the scales {', '.join(map(str, scales))}")
    return wanted


def _values(arch: str, traits: ArchTraits, purpose: Purpose, scale: int, places: Places) -> dict[str, str]:
    published = traits.recipe
    rate = (published.lr if published else USUAL_RATE) * purpose.rate_factor
    milestones = ", ".join(f"{round(share * purpose.total_iter)}" for share in purpose.milestones)
    begin = ""
    if purpose.pretrained:
        begin = f"\npath:\n  pretrain_network_g: {text_of(places.weights)}  # the weights to begin with\n"
    lines = {"warmup": f"{purpose.warmup_iter}", "total_iter": f"{purpose.total_iter}", "milestones": milestones}
    return lines | {
        "arch": arch,
        "scale": f"{scale}",
        "lq_size": f"{traits.fitting(published.lq_size if published else USUAL_CROP)}",
        "batch": f"{published.batch_size if published else USUAL_BATCH}",
        "rate": f"{rate:.3g}".replace("e-0", "e-"),
        "pretrained": begin,
        **{key: text_of(value) for key, value in vars(places).items() if key != "weights"},
    }


def _of_clips(frames: int) -> dict[str, str]:
    """Return what a network of clips changes in the file; nothing for one of single images."""
    if frames == 1:
        return {"dataset": "PairedImageDataset", "clip": "", "metrics": ""}
    return {
        "dataset": "PairedVideoDataset",
        "clip": f"\n    clip_size: {frames}  # frames that the network sees at once; it makes the middle one",
        "metrics": "\n    tpsnr: {}  # of the change from frame to frame: flicker lowers it",
    }


def text_of(value: str) -> str:
    """Return a text as it stands in YAML: without quotes where that says the same."""
    is_plain = re.fullmatch(r"[\w/~.][\w/.~-]*", value) and not looks_like_other(value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def aligned(text: str) -> str:
    """Return YAML with the comments behind values in one column, where the values leave room for it."""
    lines = []
    for line in text.splitlines():
        parts = re.fullmatch(r"(\s*[^#\s].*?) +# (.*)", line)
        lines.append(f"{parts[1]:<{COLUMN}}  # {parts[2]}" if parts else line)
    return "\n".join(lines) + "\n"


PAIRS = """\
datasets:
  train:
    type: {dataset}
    dataroot_gt: {gt}  # the large images; one folder, or a list of folders
    dataroot_lq: {lq}  # the same images, small, under the same names{clip}
    lq_size: {lq_size}  # side of the random crops, in small pixels
    batch_size_per_gpu: {batch}  # crops per step
    num_worker_per_gpu: 4  # processes that read images
    use_hflip: true  # random mirroring
    use_rot: true  # random turns by 90 degrees

  val:
    name: val
    type: {dataset}
    dataroot_gt: {val_gt}  # images that are never trained on
    dataroot_lq: {val_lq}{clip}

"""
PHOTOS = """\
datasets:
  train:
    type: SingleGTDataset
    dataroot_gt: {gt}  # photos, as sharp as there are; one folder, or a list of folders
    lq_size: {lq_size}  # side of the random crops, in small pixels
    batch_size_per_gpu: {batch}  # crops per step
    num_worker_per_gpu: 4  # processes that read images
    use_hflip: true  # random mirroring
    use_rot: true  # random turns by 90 degrees
    degradations: &spoil  # what the small images go through: `trainner preview -opt FILE.yml` shows it,
      # and `trainner estimate --lq DIR` proposes a list for images of yours
      - {{type: blur, kernels: [iso, aniso], sigma: [0.2, 1.5], prob: 0.7}}
      - {{type: resize, factor: [0.7, 1.2], prob: 0.5}}
      - {{type: noise, kinds: [gaussian, poisson], sigma: [1, 10], gray_prob: 0.4, prob: 0.6}}
      - shrink
      - {{type: jpeg, quality: [40, 95], prob: 0.8}}

  val:
    name: val
    type: SingleGTDataset
    dataroot_gt: {val_gt}  # photos that are never trained on
    degradations: *spoil  # the same for a photo at every validation

"""
TEMPLATE = """\
# {about}
#   trainner train -opt FILE.yml --check    looks whether everything is in order, and shows every value

name: {name}  # the run's folder: experiments/{name}
scale: {scale}  # the output is so many times as large as the input
num_gpu: auto  # auto: the GPU if there is one; 0: the CPU
use_amp: true  # forward in half precision where the network can
amp_bf16: true  # bfloat16, which needs no scaled loss; older GPUs than the RTX 30 series: false
manual_seed: 42  # same seed, same samples

{data}network_g:
  type: {arch}
{pretrained}
train:
  total_iter: {total_iter}  # steps
  warmup_iter: {warmup}  # steps over which the learning rate rises from zero
  ema_decay: 0.999  # average of the weights over a thousand steps: what is validated and saved
  grad_clip: true  # limit the norm of the gradient to 1

  optim_g:
    type: AdamW  # docs/networks.md has others
    lr: {rate}
    betas: [0.9, 0.99]
    weight_decay: 0

  scheduler:
    type: MultiStepLR
    milestones: [{milestones}]
    gamma: 0.5  # the rate is halved at every milestone

  losses:
    - type: L1Loss  # the mean absolute difference: what fidelity is measured by
      loss_weight: 1.0

val:
  val_freq: 5000  # steps between validations
  metrics:
    psnr: {{}}  # on luma, without a border of `scale` pixels, as papers do
    ssim: {{}}{metrics}

logger:
  print_freq: 100  # steps between log lines
  save_checkpoint_freq: 5000 # steps between checkpoints
  use_tb_logger: true  # tensorboard --logdir experiments/{name}/tb_logger
"""
