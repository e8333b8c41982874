"""The convolution of the SPAN family: trained weights of three in a row beside a 1 x 1, computed as one 3 x 3."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def amounts_to(conv: nn.Sequential, skip: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Return the one convolution that three in a row beside a fourth amount to; differentiable.

    Nothing between them is nonlinear, and the zeros around the image are put there before the first of them, so the
    result is the same at the border too. For C channels it takes 9 C^2 products a pixel instead of 41 C^2.

    Args:
        conv: 1 x 1, 3 x 3 and 1 x 1, without padding, with biases or without.
        skip: the 1 x 1 beside them.

    Returns:
        Kernel (outer, inner, 3, 3) and bias (outer), for a padding of 1.
    """
    expand, spread, reduce = (part for part in conv if isinstance(part, nn.Conv2d))
    last = reduce.weight[..., 0, 0]
    kernel = torch.einsum("om,mnhw,ni->oihw", last, spread.weight, expand.weight[..., 0, 0])
    bias = torch.einsum("om,mnhw,n->o", last, spread.weight, _bias(expand))
    bias = bias + last @ _bias(spread) + _bias(reduce) + _bias(skip)
    return kernel + F.pad(skip.weight, (1, 1, 1, 1)), bias


def as_four(x: Tensor, conv: nn.Sequential, skip: nn.Conv2d) -> Tensor:
    """Compute the convolution of `amounts_to` as the four that it is made of: the plain form."""
    return conv(F.pad(x, (1, 1, 1, 1))) + skip(x)


class TripleConv(nn.Module):
    """A 3 x 3 convolution with the weights of three in a row beside a 1 x 1, computed as the one they amount to.

    `eval_conv` is that one in the weights file, for programs that read it there; it is never trained.
    """

    def __init__(self, inner: int, outer: int, gain: int = 2, bias: bool = True) -> None:
        super().__init__()
        self.sk = nn.Conv2d(inner, outer, 1, bias=bias)
        self.conv = nn.Sequential(
            nn.Conv2d(inner, inner * gain, 1, bias=bias),
            nn.Conv2d(inner * gain, outer * gain, 3, bias=bias),
            nn.Conv2d(outer * gain, outer, 1, bias=bias),
        )
        self.eval_conv = nn.Conv2d(inner, outer, 3, padding=1, bias=bias).requires_grad_(False)
        nn.init.trunc_normal_(self.sk.weight, std=0.02)
        self.register_state_dict_pre_hook(TripleConv._write_fused)

    def _write_fused(self, *_: Any) -> None:
        with torch.no_grad():
            fused = amounts_to(self.conv, self.sk)
            for own, value in zip((self.eval_conv.weight, self.eval_conv.bias), fused, strict=True):
                if own is not None:
                    own.copy_(value)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, inner, H, W to B, outer, H, W."""
        kernel, bias = amounts_to(self.conv, self.sk)
        return F.conv2d(x, kernel, bias, padding=1)


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
