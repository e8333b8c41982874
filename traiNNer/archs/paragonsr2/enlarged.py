"""The first convolution at the output's size, on features that are enlarged by repetition and then smoothed.

All three steps are linear, and the smoothing is the same for every channel: convolving may come before it. Repeated
pixels are then multiplied once instead of several times, 4 products for 9. Weights, results and gradients are those of
the plain form up to rounding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.archs.paragonsr2 import border
from traiNNer.archs.paragonsr2.stencil import (
    enlarge_columns,
    enlarge_rows,
    has_channels_innermost,
    repeat,
    shuffle,
)

TAPS = 5
SCALES = (2, 4)


def enlarge(x: Tensor, smooth: tuple[Tensor, Tensor], scale: int) -> Tensor:
    """Repeat the pixels of B, C, H, W, and smooth along columns and rows with (C, 1, k, 1) and (C, 1, 1, k)."""
    # The filter is separable, so each axis is filtered right after it grew: the first on half the pixels.
    return enlarge_columns(enlarge_rows(x, smooth[0], scale), smooth[1], scale)


def may_convolve_first(x: Tensor, smooth: tuple[Tensor, Tensor], conv: nn.Conv2d, scale: int) -> bool:
    """Tell whether `conv_first` is the quicker form and exact: on the CPU, where pixels are stored one by one.

    Trained or unequal filters cannot change places with it, and in half precision the sums of taps would be rounded.
    """
    is_exact = x.dtype.itemsize >= 4 and x.dtype == conv.weight.dtype
    is_large = x.numel() * scale**2 >= border.LEAST_PIXELS * x.shape[1]
    is_image = is_large and min(x.shape[2:]) > 1 and has_channels_innermost(x)
    if x.device.type != "cpu" or not is_exact or not is_image or scale not in SCALES:
        return False
    are_equal = all(taps.numel() == len(taps) * TAPS and bool((taps == taps[:1]).all()) for taps in smooth)
    return are_equal and not any(taps.requires_grad for taps in smooth)


def conv_first(x: Tensor, smooth: tuple[Tensor, Tensor], conv: nn.Conv2d, scale: int) -> Tensor:
    """Compute `conv(enlarge(x, smooth, scale))`, conv of 3 x 3, with the convolution before the smoothing."""
    assert conv.bias is not None
    outer = conv.out_channels
    down, across = (taps[:1].expand(outer, -1, -1, -1) for taps in smooth)
    # One row and column more on every side than the image, which is as far as a 3 x 3 reaches.
    enlarged = shuffle(F.conv2d(x, _on_repeated(conv.weight, scale), padding=1), scale)
    pad = TAPS // 2 - scale // 2
    output = F.conv2d(F.conv2d(enlarged, down, padding=(pad, 0), groups=outer), across, padding=(0, pad), groups=outer)
    above, beside = _outside(x, smooth, scale)
    top_bottom, left_right = conv.weight[:, :, ::2], conv.weight[..., ::2]
    return border.take_off(
        output.add_(conv.bias.view(-1, 1, 1)),
        border.two_lines(above, top_bottom.movedim(2, 0).unsqueeze(3), (0, 0)),
        border.two_lines(beside, left_right.movedim(3, 0).unsqueeze(4), (1, 0)),
    )


def _on_repeated(weight: Tensor, scale: int) -> Tensor:
    """Return kernels, scale^2 * out, C, 2, 2, that give what `weight`, out, C, 3, 3, gives on repeated pixels.

    They lie on the corners between pixels, and give the scale x scale output pixels around one, row by row.
    """
    taps = torch.arange(3).view(-1, 1) - 1 + torch.arange(scale) - scale // 2  # from the second pixel, by tap and phase
    falls = F.one_hot((taps >= 0).long(), 2).to(weight)
    return torch.einsum("ocde,dpn,eqm->pqocnm", weight, falls, falls).flatten(0, 2)


def _outside(x: Tensor, smooth: tuple[Tensor, Tensor], scale: int) -> tuple[Tensor, Tensor]:
    """Return what the smoothing gives one pixel outside of the image: rows B, C, 2, W + 2 and columns B, C, H, 2.

    H and W are the output's. There it sees the outermost pixel alone, as often as its taps reach.
    """
    down, across = smooth
    rows = repeat(border.rows(x) * _reach(down).view(-1, 2, 1), 1, scale)
    rows = F.conv2d(rows, across, padding=(0, TAPS // 2 + 1), groups=x.shape[1])
    return rows, enlarge_rows(border.columns(x) * _reach(across).view(-1, 1, 2), down, scale)


def _reach(taps: Tensor) -> Tensor:
    """Return the sums of the taps that reach into the image from one pixel before it, and from one behind it: C, 2."""
    line = taps.flatten(1)
    return torch.stack([line[:, TAPS // 2 + 1 :].sum(1), line[:, : TAPS // 2].sum(1)], dim=1)
