"""ArtCNN (Artoriuz, 2023), our implementation: residual blocks of plain convolutions, for drawings.

Tensor names are those of traiNNer-redux, so weights of either open in the other.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from torch import Tensor, nn

from traiNNer.archs.reading import count_parts, name_of
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

Count = Annotated[int, Field(gt=0)]


def odd(kernel: int) -> int:
    """Return the side of a kernel. Raises `ValueError` unless it has a middle."""
    if kernel % 2 == 0:
        raise ValueError("must be odd: a kernel has a pixel in the middle")
    return kernel


class Conv(nn.Conv2d):
    """A convolution that keeps the size."""

    def __init__(self, inner: int, outer: int, kernel: int) -> None:
        super().__init__(inner, outer, kernel, padding=kernel // 2)


class ResidualBlock(nn.Module):
    """Three convolutions, two of them rectified, plus the input."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        first, second = (nn.Sequential(Conv(channels, channels, kernel), nn.ReLU()) for _ in range(2))
        self.conv = nn.Sequential(first, second, Conv(channels, channels, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.conv(x) + x


class Shuffle(nn.Module):
    """A convolution whose channels become pixels."""

    def __init__(self, inner: int, outer: int, kernel: int, scale: int) -> None:
        super().__init__()
        self.upscale = nn.Sequential(Conv(inner, outer * scale**2, kernel), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, inner, H, W to B, outer, scale*H, scale*W."""
        return self.upscale(x)


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    first, last = state.get("conv0.weight"), state.get("depth_to_space.upscale.0.weight")
    if first is None or last is None or "res_block.0.conv.0.0.weight" not in state:
        return None
    size = {
        "in_ch": first.shape[1],
        "filters": first.shape[0],
        "n_block": count_parts(state, "res_block.") - 1,
        "kernel_size": first.shape[-1],
    }
    scale = math.isqrt(last.shape[0] // first.shape[1])
    return {"type": name_of(size, SIZES, "artcnn"), **size, "scale": scale}


@arch(
    scales=(1, 2, 3, 4),
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
class ArtCNN(nn.Module):
    """ArtCNN, residual blocks of plain convolutions.

    Args:
        in_ch: Channels of the images.
        filters: Channels of the body.
        n_block: Residual blocks.
        kernel_size: Side of every kernel, an odd number.
    """

    def __init__(
        self,
        scale: int,
        in_ch: Count = 3,
        filters: Count = 96,
        n_block: Count = 16,
        kernel_size: Annotated[int, Field(gt=0), AfterValidator(odd)] = 3,
    ) -> None:
        super().__init__()
        self.conv0 = Conv(in_ch, filters, kernel_size)
        blocks = (ResidualBlock(filters, kernel_size) for _ in range(n_block))
        self.res_block = nn.Sequential(*blocks, Conv(filters, filters, kernel_size))
        self.depth_to_space = Shuffle(filters, in_ch, kernel_size, scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, in_ch, H, W in [0, 1] to B, in_ch, scale*H, scale*W, not clamped."""
        x = self.conv0(x)
        return self.depth_to_space(self.res_block(x) + x)


SIZES: dict[str, dict[str, Any]] = {
    "artcnn_r16f96": {"n_block": 16, "filters": 96},
    "artcnn_r8f64": {"n_block": 8, "filters": 64},
    "artcnn_r8f48": {"n_block": 8, "filters": 48},
    "artcnn_r5f48": {"n_block": 5, "filters": 48},
    "artcnn_r8f24": {"n_block": 8, "filters": 24},
    "artcnn_r3f24": {"n_block": 3, "filters": 24},
}
artcnn_r16f96 = variant("artcnn_r16f96", ArtCNN, **SIZES["artcnn_r16f96"])
artcnn_r8f64 = variant("artcnn_r8f64", ArtCNN, **SIZES["artcnn_r8f64"])
artcnn_r8f48 = variant("artcnn_r8f48", ArtCNN, **SIZES["artcnn_r8f48"])
artcnn_r5f48 = variant("artcnn_r5f48", ArtCNN, **SIZES["artcnn_r5f48"])
artcnn_r8f24 = variant("artcnn_r8f24", ArtCNN, **SIZES["artcnn_r8f24"])
artcnn_r3f24 = variant("artcnn_r3f24", ArtCNN, **SIZES["artcnn_r3f24"])
