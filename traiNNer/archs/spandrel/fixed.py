"""Classes of spandrel with what hinders training put right; tensor names and the computed function stay the same."""

from typing import Any

import torch
import torch.nn.functional as F
from spandrel.architectures.DRCT import DRCT as SpandrelDRCT  # noqa: N811
from spandrel.architectures.PLKSR import PLKSR as SpandrelPLKSR  # noqa: N811
from spandrel.architectures.PLKSR import RealPLKSR as SpandrelRealPLKSR
from spandrel.architectures.RCAN import RCAN as SpandrelRCAN  # noqa: N811
from spandrel.architectures.SeemoRe import SeemoRe as SpandrelSeemoRe
from spandrel.architectures.SPAN.__arch.span import Conv3XC as SpandrelConv3XC
from torch import Tensor, nn

from traiNNer.archs.triple_conv import amounts_to


class RCAN(SpandrelRCAN):
    """RCAN that leaves its input alone: the original multiplies the caller's tensor in place."""

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, C, scale*H, scale*W."""
        return super().forward(x.clone())


class SeemoRe(SpandrelSeemoRe):
    """SeemoRe that evaluates batches: the original routes every image to the experts that the first one chose."""

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, C, scale*H, scale*W."""
        if self.training or len(x) == 1:
            return super().forward(x)
        return torch.cat([super(SeemoRe, self).forward(image) for image in x.split(1)])


def _keep_out_of_place(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if name.endswith(".lk"):
            module.training = True


class PLKSR(SpandrelPLKSR):
    """PLKSR that can be differentiated in evaluation: the original's large kernels then write into their input.

    They have no layer that behaves otherwise in training, so they stay in that mode.
    """

    def train(self, mode: bool = True) -> "PLKSR":
        """Switch everything but the large kernels."""
        super().train(mode)
        _keep_out_of_place(self)
        return self


class RealPLKSR(SpandrelRealPLKSR):
    """RealPLKSR that can be differentiated in evaluation, as `PLKSR`."""

    def train(self, mode: bool = True) -> "RealPLKSR":
        """Switch everything but the large kernels."""
        super().train(mode)
        _keep_out_of_place(self)
        return self


def _padded(x: Tensor, multiple: int) -> Tensor:
    bottom, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return F.pad(x, (0, right, 0, bottom), mode="reflect") if bottom or right else x


class DRCT(SpandrelDRCT):
    """DRCT for images of any size: the original fails unless both sides are multiples of its window."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._multiple, self._scale = options["window_size"], options["upscale"]

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, C, scale*H, scale*W."""
        height, width = x.shape[-2:]
        return super().forward(_padded(x, self._multiple))[..., : height * self._scale, : width * self._scale]


class Conv3XC(SpandrelConv3XC):
    """Conv3XC that computes in training too the one convolution that its four amount to: a quarter of the arithmetic.

    Evaluation stays the original's, which computes the same and writes it into `eval_conv`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map B, c_in, H, W to B, c_out, H, W."""
        if not self.training:
            return super().forward(x)
        kernel, bias = amounts_to(self.conv, self.sk)
        return F.conv2d(x, kernel, bias, padding=1)


def train_as_one(network: nn.Module) -> nn.Module:
    """Let every `Conv3XC` of spandrel in a network be trained as one convolution, and return the network.

    Raises:
        LookupError: there is none, or one of another kind, so the class is not what it was.
    """
    found = [part for part in network.modules() if isinstance(part, SpandrelConv3XC)]
    if not found or any(part.stride != 1 or part.has_relu for part in found):
        raise LookupError(f"{type(network).__name__} has no triple convolutions that could be computed as one")
    for part in found:
        part.__class__ = Conv3XC
    return network
