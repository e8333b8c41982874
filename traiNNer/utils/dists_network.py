"""The network of DISTS: VGG16 without aliasing, and the learned weights of structure and texture."""

from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.errors import ConfigError
from traiNNer.utils.fixed_network import take
from traiNNer.utils.pretrained import cached_weights, read_weights

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
CHANNELS = (3, *(width for width, _ in STAGES))
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CALM = 1e-6
SMALLEST_SIDE = 16
"""Side of the smallest image, in pixels, of which the last stage has something left."""


class DistsNetwork(nn.Module):
    """Structure and texture similarity of two images; 0 for equal ones.

    Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", 2020. Each
    channel of the image and of five stages of VGG16 has a similarity of its means (texture) and of its variations
    (structure); the score is one minus their weighted mean.

    Args:
        backbone: Tensors `features.N.weight` and `features.N.bias` as torchvision names them for vgg16.
        shares: Tensors `alpha` and `beta`, 1, 1475, 1, 1: how much each channel counts.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """

    mean: Tensor
    std: Tensor
    window: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, backbone: dict[str, Tensor], shares: dict[str, Tensor]) -> None:
        super().__init__()
        for name, shape in backbone_shapes().items():
            value = take(backbone, name, torch.empty(shape, device="meta"), "VGG16").float().clone()
            self.register_buffer(name.replace(".", "_"), value, persistent=False)
        alpha, beta = (
            take(shares, name, torch.empty(1, sum(CHANNELS), 1, 1, device="meta"), "DISTS").flatten().float()
            for name in ("alpha", "beta")
        )
        whole = alpha.sum() + beta.sum()
        bell = torch.hann_window(4, periodic=True)[1:]
        kernel = torch.outer(bell, bell) / bell.sum() ** 2
        constants = {"alpha": alpha / whole, "beta": beta / whole, "window": kernel.view(1, 1, 3, 3)}
        constants |= {"mean": torch.tensor(MEAN).view(1, 3, 1, 1), "std": torch.tensor(STD).view(1, 3, 1, 1)}
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the scores, B, of B, 3, H, W images in [0, 1]. Raises `ValueError` for images that are too small."""
        if min(output.shape[-2:]) < SMALLEST_SIDE:
            raise ValueError(f"DISTS needs images of at least {SMALLEST_SIDE} pixels")
        with torch.set_grad_enabled(target.requires_grad and torch.is_grad_enabled()):
            wanted = self._features(target)
        similarities = [_similarities(x, y) for x, y in zip(self._features(output), wanted, strict=True)]
        texture, structure = (torch.cat(kind, 1) for kind in zip(*similarities, strict=True))
        return 1 - (self.alpha * texture + self.beta * structure).sum(1)

    def _features(self, images: Tensor) -> list[Tensor]:
        found, x, place = [images], (images - self.mean) / self.std, 0
        for stage, (_, count) in enumerate(STAGES):
            if stage:
                x, place = self._pooled(x), place + 1
            for _ in range(count):
                weight, bias = (self.get_buffer(f"features_{place}_{kind}") for kind in ("weight", "bias"))
                x, place = F.relu(F.conv2d(x, weight, bias, padding=1)), place + 2
            found.append(x)
        return found

    def _pooled(self, maps: Tensor) -> Tensor:
        """Halve the sides by the root of the blurred squares."""
        count = maps.shape[1]
        squares = F.conv2d(maps.square(), self.window.expand(count, 1, 3, 3), stride=2, padding=1, groups=count)
        return (squares + 1e-12).sqrt()


def _similarities(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarity of texture and of structure of every channel, each B, C."""
    mean_x, mean_y = x.mean((2, 3)), y.mean((2, 3))
    # Of the differences to the means: the variance is small beside the mean, and must not drown in it.
    x, y = x - mean_x[..., None, None], y - mean_y[..., None, None]
    texture = (2 * mean_x * mean_y + CALM) / (mean_x.square() + mean_y.square() + CALM)
    both = (x * y).mean((2, 3))
    return texture, (2 * both + CALM) / (x.square().mean((2, 3)) + y.square().mean((2, 3)) + CALM)


def backbone_shapes() -> dict[str, tuple[int, ...]]:
    """Return the tensors of VGG16's convolutions by torchvision's names."""
    shapes: dict[str, tuple[int, ...]] = {}
    place, channels = 0, 3
    for stage, (width, count) in enumerate(STAGES):
        place += stage > 0  # the pooling layer between two stages
        for _ in range(count):
            shapes |= {f"features.{place}.weight": (width, channels, 3, 3), f"features.{place}.bias": (width,)}
            place, channels = place + 2, width
    return shapes


def dists_network(needed_by: str, weights: str | None = None, shares: str | None = None) -> DistsNetwork:
    """Build it from torchvision's vgg16 and the file `weights.pt` of the package `dists-pytorch`, or copies of both.

    Raises:
        ConfigError: one of them cannot be had, or does not fit.
    """
    shares_path = _packaged(needed_by) if shares is None else Path(shares)
    path = cached_weights(_url(), needed_by) if weights is None else Path(weights)
    try:
        return DistsNetwork(read_weights(path, needed_by), read_weights(shares_path, needed_by))
    except ValueError as error:
        raise ConfigError(f"{needed_by}: {path} or {shares_path} {error}") from None


def random_dists_network() -> DistsNetwork:
    """Build it with random features, always the same, of equal shares; for trying a setup without the weights."""
    random = torch.Generator().manual_seed(0)
    backbone = {name: torch.zeros(shape) for name, shape in backbone_shapes().items()}
    for name, value in backbone.items():
        if name.endswith("weight"):
            backbone[name] = torch.randn(value.shape, generator=random) * (2 / value[0].numel()) ** 0.5
    equal = torch.ones(1, sum(CHANNELS), 1, 1)
    return DistsNetwork(backbone, {"alpha": equal, "beta": equal})


def _packaged(needed_by: str) -> Path:
    spec = find_spec("DISTS_pytorch")  # found, not imported: only its data is used
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"{needed_by} needs the weights of the package dists-pytorch, which is not installed.\n"
            "Run `pip install dists-pytorch`, or name a copy of its weights.pt with the option `dists_weights: path`."
        )
    return Path(spec.origin).with_name("weights.pt")


def _url() -> str:
    from torchvision.models import VGG16_Weights

    return VGG16_Weights.IMAGENET1K_V1.url
