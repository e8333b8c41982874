"""Depth-wise stencils: the small per-channel filters that a plain grouped convolution runs badly on some devices.

Every function computes what its docstring says for any memory layout; only the route differs, and results agree to
rounding. "Channels innermost" means that the channels of one pixel lie next to each other in memory.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def has_channels_innermost(x: Tensor) -> bool:
    """Tell whether `x` (B, C, H, W) is stored pixel by pixel, with all channels of a pixel together."""
    return x.stride(1) == 1 and x.shape[1] > 1 and not x.is_contiguous()


def filter_per_sample(x: Tensor, kernels: Tensor, slope: float = 1.0) -> Tensor:
    """Filter each channel of each sample with its own odd-sized kernel, zero-padded to the same size, then leaky ReLU.

    `x` is B, C, H, W; `kernels` is B, C, k, k; `slope` is the factor of negative results; the result is B, C, H, W.
    """
    kernels = kernels.to(x.dtype)
    if x.device.type == "cpu" and has_channels_innermost(x):
        return _SampleBySample.apply(x, kernels, slope)  # pyright: ignore[reportReturnType]
    return filter_as_groups(x, kernels, slope)


def filter_as_groups(x: Tensor, kernels: Tensor, slope: float = 1.0) -> Tensor:
    """Compute `filter_per_sample` as one grouped convolution over the planes of all samples: the plain form."""
    batch, channels, height, width = x.shape
    planes = x.reshape(1, batch * channels, height, width)
    stacked = kernels.reshape(batch * channels, 1, *kernels.shape[-2:])
    filtered = F.conv2d(planes, stacked, padding=kernels.shape[-1] // 2, groups=batch * channels)
    return F.leaky_relu(filtered, slope).reshape(x.shape)


class _SampleBySample(torch.autograd.Function):
    """`filter_per_sample` where transposing all samples into one grouped convolution costs more than B small ones.

    A sample fits the processor's cache, so that activation and gradients are done while it is there.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor, slope: float) -> Tensor:
        pad, channels = kernels.shape[-1] // 2, x.shape[1]
        parts = []
        for one, kernel in zip(x.split(1), kernels.split(1), strict=True):
            part = F.conv2d(one, kernel.transpose(0, 1), padding=pad, groups=channels)
            parts.append(F.leaky_relu_(part, slope))
        output = torch.cat(parts)
        ctx.slope = slope
        ctx.save_for_backward(x, kernels, output)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, kernels, output = ctx.saved_tensors
        grads, kernel_grads = [], []
        for one, kernel, result, grad_one in zip(*(t.split(1) for t in (x, kernels, output, grad)), strict=True):
            back = torch.ops.aten.leaky_relu_backward(grad_one, result, ctx.slope, True)
            grad_x, grad_kernel = _conv_backward(back, one, kernel.transpose(0, 1))
            grads.append(grad_x)
            kernel_grads.append(grad_kernel.transpose(0, 1))
        return torch.cat(grads), torch.cat(kernel_grads), None


def _conv_backward(grad: Tensor, x: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    pad = [kernels.shape[-2] // 2, kernels.shape[-1] // 2]
    grad_x, grad_kernels, _ = torch.ops.aten.convolution_backward(
        grad, x, kernels, None, [1, 1], pad, [1, 1], False, [0, 0], x.shape[1], [True, True, False]
    )
    return grad_x, grad_kernels


def mean_of_planes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return `x` (B, C, H, W) itself and its mean over H and W (B, C).

    Using the returned `x` instead of the argument lets the backward pass add both gradients in one pass over the
    pixels, where two uses of one tensor take three.
    """
    return _MeanOfPlanes.apply(x)  # pyright: ignore[reportReturnType]


class _MeanOfPlanes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.pixels = x.shape[2] * x.shape[3]
        return x.view_as(x), x.mean((2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_mean: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad + (grad_mean / ctx.pixels)[:, :, None, None]


def filter_shared(x: Tensor, kernels: Tensor, bias: Tensor | None = None) -> Tensor:
    """Filter each channel with its own odd-sized kernel, the same for all samples, zero-padded to the same size.

    `x` is B, C, H, W; `kernels` is C, 1, kh, kw; `bias` is C.
    """
    padding = (kernels.shape[-2] // 2, kernels.shape[-1] // 2)
    return F.conv2d(x, kernels, bias, padding=padding, groups=x.shape[1])


def enlarge_rows(x: Tensor, kernels: Tensor, scale: int) -> Tensor:
    """Repeat each row `scale` times, then filter along the columns with `kernels` (C, 1, k, 1), zero-padded."""
    return filter_shared(repeat(x, scale, 1), kernels)


def enlarge_columns(x: Tensor, kernels: Tensor, scale: int) -> Tensor:
    """Repeat each column `scale` times, then filter along the rows with `kernels` (C, 1, 1, k), zero-padded."""
    return filter_shared(repeat(x, 1, scale), kernels)


def repeat(x: Tensor, rows: int, columns: int) -> Tensor:
    """Repeat each pixel of B, C, H, W so many times along the columns and along the rows."""
    if rows == columns == 1:
        return x
    return F.interpolate(x, size=(x.shape[2] * rows, x.shape[3] * columns), mode="nearest")


def shuffle(x: Tensor, scale: int) -> Tensor:
    """Turn B, scale^2 * C, H, W into B, C, scale*H, scale*W; the first C channels are the upper left pixels.

    Unlike in `torch.nn.PixelShuffle` the channels of a pixel lie together, before and after.
    """
    batch, _, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).view(batch, height, width, scale, scale, -1).transpose(2, 3)
    return pixels.reshape(batch, height * scale, width * scale, -1).permute(0, 3, 1, 2)


def unshuffle(x: Tensor, scale: int) -> Tensor:
    """Do the opposite of `shuffle`."""
    batch, _, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height // scale, scale, width // scale, scale, -1).transpose(2, 3)
    return pixels.reshape(batch, height // scale, width // scale, -1).permute(0, 3, 1, 2)
