"""The end of the network at the output's size: the last residual block and the convolution that makes the image.

`conv_out(x + conv2(a))` has nothing nonlinear inside. Its plain form computes all channels at every pixel only to take
three sums of them; the merged form takes the three sums at once, by the kernels that both convolutions amount to.
Weights, results and gradients are the same up to rounding.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from traiNNer.archs.paragonsr2 import border
from traiNNer.archs.paragonsr2.stencil import has_channels_innermost, shuffle, unshuffle

FEW = 4
"""Outputs up to which the merged form is quicker: those of 2 x 2 pixels then fill the 16 that are computed at once."""
PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
LEAST = 17
"""Channels from which it is quicker: its arithmetic grows with them, that of the plain form with their square."""


def may_merge(x: Tensor, conv_out: nn.Conv2d) -> bool:
    """Tell whether the merged form is the quicker one and exact: on the CPU, where pixels are stored one by one.

    In half precision the merged kernels would be rounded.
    """
    is_exact = x.dtype.itemsize >= 4 and x.dtype == conv_out.weight.dtype
    is_even = x.shape[2] % 2 == x.shape[3] % 2 == 0
    is_large = x.numel() >= border.LEAST_PIXELS * x.shape[1]
    is_quick = is_large and conv_out.out_channels <= FEW and x.shape[1] >= LEAST
    return x.device.type == "cpu" and is_exact and is_even and is_quick and has_channels_innermost(x)


def plain_tail(x: Tensor, activated: Tensor, conv2: nn.Conv2d, conv_out: nn.Conv2d) -> Tensor:
    """Return `conv_out(x + conv2(activated))`, both of 3 x 3; B, C, H, W to B, out, H, W."""
    return conv_out(conv2(activated).add_(x))


def merged_tail(x: Tensor, activated: Tensor, conv2: nn.Conv2d, conv_out: nn.Conv2d) -> Tensor:
    """Compute `plain_tail` without the channels in between; both sides have to be even."""
    last, bias = conv_out.weight, _bias(conv_out)
    # Of every pair of taps, the product: out, in, taps of conv_out, taps of conv2.
    products = torch.einsum("omd,mce->ocde", last.flatten(2), conv2.weight.flatten(2)).flatten(2)
    merged, of_rows, of_columns, of_corners = (products @ _falls(products.dtype)).split([25, 10, 10, 4], dim=2)
    constants = torch.einsum("omd,m->do", last.flatten(2), _bias(conv2))
    inside, at_rows, at_columns, at_corners = (_falls_of_constant(constants.dtype) @ constants).split([1, 2, 2, 4])
    output, top_bottom, left_right = few_outputs(activated, merged.unflatten(2, (5, 5)))
    output = few_outputs(x, last)[0] + output
    corners = torch.einsum("bck,ock->bok", border.corners(top_bottom).flatten(2), of_corners) + at_corners.t()
    return border.take_off(
        output.add_((bias + inside[0]).view(-1, 1, 1)),
        border.two_lines(top_bottom, of_rows.unflatten(2, (2, 1, 5)).movedim(2, 0), (0, 2), at_rows),
        border.two_lines(left_right, of_columns.unflatten(2, (2, 5, 1)).movedim(2, 0), (2, 0), at_columns),
        corners.unflatten(2, (2, 2)),
    )


@cache
@torch.inference_mode(mode=False)
def _falls(dtype: torch.dtype) -> Tensor:
    """Return where each of the 81 pairs of taps falls, 81, 49.

    All fall on one of the 25 taps of the merged kernel; those with the pixel between the two outside of the image also
    on one of the line at that edge: top, bottom, left, right (5 each), and the 4 corners. A validation may be the first
    to ask, so it is created outside of inference mode: autograd refuses other tensors in training.
    """
    falls = torch.zeros(3, 3, 3, 3, 49, dtype=dtype)
    for first_y, first_x, y, x in torch.cartesian_prod(*[torch.arange(3)] * 4).tolist():
        places = falls[first_y, first_x, y, x]
        places[5 * (first_y + y) + first_x + x] = 1
        # At the upper edge it is outside if the outer tap looks up and the inner one down again, and so on.
        vertical = [end for end in (0, 1) if (first_y, y) == ((0, 2), (2, 0))[end]]
        horizontal = [end for end in (0, 1) if (first_x, x) == ((0, 2), (2, 0))[end]]
        places[[25 + 5 * end + first_x + x for end in vertical]] = 1
        places[[35 + 5 * end + first_y + y for end in horizontal]] = 1
        places[[45 + 2 * end + other for end in vertical for other in horizontal]] = 1
    return falls.view(81, 49)


@cache
@torch.inference_mode(mode=False)
def _falls_of_constant(dtype: torch.dtype) -> Tensor:
    """Return the like for the 9 taps on a constant: inside, top, bottom, left, right, 4 corners, of the taps."""
    lines = torch.zeros(3, 3, 9, dtype=dtype)
    lines[..., 0] = 1
    for end, line in ((0, 0), (1, 2)):
        lines[line, :, 1 + end] = 1
        lines[:, line, 3 + end] = 1
        for other, column in ((0, 0), (1, 2)):
            lines[line, column, 5 + 2 * end + other] = 1
    return lines.view(9, 9).t()


def few_outputs(x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the convolution of `x`, B, C, H, W with even sides, with `kernel`, out, C, k, k: B, out, H, W.

    A few outputs leave most of a vector register empty. So 2 x 2 pixels are computed as if they were outputs of one,
    from all that they see. `k` is odd; around the image are zeros.

    Returns:
        The output, and of `x` the first and last row and the first and last column. Taken from here their gradient is
        added where it belongs; a slice's own would be a map of zeros, as large as `x`.
    """
    return _FewOutputs.apply(x, kernel)  # pyright: ignore[reportReturnType]


class _FewOutputs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(x, kernel)
        four = F.conv2d(x, _on_four(kernel), stride=2, padding=kernel.shape[-1] // 2)
        return shuffle(four, 2), border.rows(x).clone(), border.columns(x).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_rows: Tensor, grad_columns: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, kernel = ctx.saved_tensors
        # The way back has few inputs instead, which waste nothing.
        grad_x, _ = _conv_backward(grad, x, kernel, 1, [True, False, False])
        border.rows(grad_x).add_(grad_rows)
        border.columns(grad_x).add_(grad_columns)
        _, grad_four = _conv_backward(unshuffle(grad, 2), x, _on_four(kernel), 2, [False, True, False])
        side = kernel.shape[-1]
        parts = grad_four.unflatten(0, (2, 2, -1))
        grad_kernel = sum(parts[i, j, :, :, i : i + side, j : j + side] for i, j in PHASES)
        return grad_x, grad_kernel  # pyright: ignore[reportReturnType]


def _on_four(kernel: Tensor) -> Tensor:
    """Return the kernels of 2 x 2 pixels, row by row: 4 * out, C, k + 1, k + 1."""
    return torch.cat([F.pad(kernel, (j, 1 - j, i, 1 - i)) for i, j in PHASES])


def _conv_backward(grad: Tensor, x: Tensor, kernel: Tensor, stride: int, mask: list[bool]) -> tuple[Tensor, Tensor]:
    pad = [(kernel.shape[-1] - 1) // 2] * 2
    grad_x, grad_kernel, _ = torch.ops.aten.convolution_backward(
        grad, x, kernel, None, [stride] * 2, pad, [1, 1], False, [0, 0], 1, mask
    )
    return grad_x, grad_kernel


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
