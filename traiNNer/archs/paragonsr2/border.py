"""The outermost pixels of a convolution of a convolution.

Two convolutions in a row are one of a larger kernel, or change places, but for the border: the plain form sees zeros
outside of the image, where the first convolution, left to itself, would have gone on. What the outermost pixels got
from there is computed for those lines alone and taken off.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST_PIXELS = 2**14
"""Pixels of a batch at the output's size below which the border costs more than the other pixels save."""


def rows(x: Tensor) -> Tensor:
    """Return a view of the first and the last row of B, C, H, W."""
    return x[:, :, :: x.shape[2] - 1]


def columns(x: Tensor) -> Tensor:
    """Return a view of the first and the last column of B, C, H, W."""
    return x[..., :: x.shape[3] - 1]


def corners(x: Tensor) -> Tensor:
    """Return a view of the four corners of B, C, H, W."""
    return rows(columns(x))


def two_lines(lines: Tensor, kernels: Tensor, padding: tuple[int, int], constants: Tensor | None = None) -> Tensor:
    """Filter the first of two rows (or columns) with a kernel of its own, and the last one likewise.

    Args:
        lines: B, C, 2, W, or B, C, H, 2.
        kernels: 2, out, C, and 1, k for rows, or k, 1 for columns.
        padding: of both axes.
        constants: what is added, 2, out.
    """
    dim = 2 if kernels.shape[3] == 1 else 3
    both = F.conv2d(lines, kernels.flatten(0, 1), None if constants is None else constants.flatten(), padding=padding)
    first, last = both.chunk(2, dim=1)
    return torch.cat([first.narrow(dim, 0, 1), last.narrow(dim, 1, 1)], dim=dim)


def take_off(output: Tensor, of_rows: Tensor, of_columns: Tensor, of_corners: Tensor | None = None) -> Tensor:
    """Subtract from the outer rows and columns of B, C, H, W, in place; corners, which are in both, are added again."""
    return _TakeOff.apply(output, of_rows, of_columns, of_corners)  # pyright: ignore[reportReturnType]


class _TakeOff(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, of_rows: Tensor, of_columns: Tensor, of_corners: Tensor | None) -> Tensor:
        ctx.mark_dirty(output)
        ctx.has_corners = of_corners is not None
        rows(output).sub_(of_rows)
        columns(output).sub_(of_columns)
        if of_corners is not None:
            corners(output).add_(of_corners)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        of_corners = corners(grad).clone() if ctx.has_corners else None
        return grad, rows(grad).neg(), columns(grad).neg(), of_corners
