"""Convolutions that cannot stretch their input: what keeps a discriminator from growing without bound."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SETTLING = 15
TINY = 1e-12


class SpectralConv2d(nn.Module):
    """A convolution whose weight, as a matrix, is divided by its largest singular value.

    Miyato et al., "Spectral normalization for generative adversarial networks", 2018. The value is followed by one
    power iteration a forward pass in training mode. Tensors are called as torch's `spectral_norm` calls them
    (`weight_orig`, `weight_u`, `weight_v`), so files of such discriminators fit.

    Args:
        channels_in: Channels of the input.
        channels: Channels of the output.
        kernel: Side of the kernel.
        stride: Step of the kernel.
        padding: Zeros around the input.
        bias: Whether a bias is added.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        plain = nn.Conv2d(channels_in, channels, kernel, stride, padding, bias=bias)
        self.stride, self.padding = stride, padding
        self.weight_orig = nn.Parameter(plain.weight.detach().clone())
        self.bias = plain.bias
        matrix = self.weight_orig.flatten(1)
        self.register_buffer("weight_u", F.normalize(torch.randn(matrix.shape[0]), dim=0, eps=TINY))
        self.register_buffer("weight_v", F.normalize(torch.randn(matrix.shape[1]), dim=0, eps=TINY))
        for _ in range(SETTLING):
            self._iterate(matrix.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Return B, C', H', W' for B, C, H, W."""
        matrix = self.weight_orig.flatten(1)
        if self.training:
            self._iterate(matrix.detach())
        # Copies: the next pass moves the vectors in place, and this one's backward still needs them.
        sigma = (self.weight_u.clone() * _times(matrix, self.weight_v.clone())).sum()
        return F.conv2d(x, self.weight_orig / sigma, self.bias, self.stride, self.padding)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        self.weight_v.copy_(F.normalize(_times(matrix.mT, self.weight_u), dim=0, eps=TINY))
        self.weight_u.copy_(F.normalize(_times(matrix, self.weight_v), dim=0, eps=TINY))


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return the product by sums, which stay in float32 where products of matrices are taken in half precision."""
    return (matrix * vector).sum(1)
