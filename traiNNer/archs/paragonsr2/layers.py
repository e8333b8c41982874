"""The blocks of ParagonSR2. B, C, H, W are batch, channels, height, width; every layer keeps H and W."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.archs.paragonsr2.attention import WindowAttention
from traiNNer.archs.paragonsr2.stencil import filter_per_sample, filter_shared, mean_of_planes

LEAK = 0.1
EvalKernels = Literal["tracked", "per_sample"]


class LayerScale(nn.Module):
    """One learned factor per channel (Touvron et al. 2021, "Going deeper with image transformers")."""

    def __init__(self, channels: int, start: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of B, C, H, W."""
        return x * self.column()

    def column(self) -> Tensor:
        """Return the factors as C, 1, 1, which scales both the outputs of a convolution and its weights' rows."""
        return self.gamma.view(-1, 1, 1)


class InceptionContext(nn.Module):
    """Depth-wise inception (Yu et al. 2024, "InceptionNeXt"): square, row and column filters on an eighth each."""

    def __init__(self, channels: int, band: int) -> None:
        super().__init__()
        part, pad = channels // 8, band // 2
        self.parts = (channels - 3 * part, part, part, part)
        self.dwconv_hw = nn.Conv2d(part, part, 3, padding=1, groups=part)
        self.dwconv_w = nn.Conv2d(part, part, (1, band), padding=(0, pad), groups=part)
        self.dwconv_h = nn.Conv2d(part, part, (band, 1), padding=(pad, 0), groups=part)

    def forward(self, x: Tensor) -> Tensor:
        """Return the context alone, B, C, H, W."""
        kept, square, row, column = x.split(self.parts, dim=1)
        return torch.cat([kept, self.dwconv_hw(square), self.dwconv_w(row), self.dwconv_h(column)], dim=1)

    def added_to(self, x: Tensor, scale: LayerScale) -> Tensor:
        """Return `x + scale(self(x))` with scale and sum inside the filters: one pass over the pixels, not three."""
        kernels, biases = self.folded(scale)
        parts = x.split([kernel.shape[0] for kernel in kernels], dim=1)
        triples = zip(parts, kernels, biases, strict=True)
        return torch.cat([filter_shared(part, kernel, bias) for part, kernel, bias in triples], dim=1)

    def folded(self, scale: LayerScale) -> tuple[list[Tensor], list[Tensor]]:
        """Return kernels (n, 1, kh, kw) and biases (n) of three depth-wise filters that give `x + scale(self(x))`.

        The unfiltered channels join the square filters: as their center tap they cost less than a pass of their own.
        """
        gamma = scale.gamma
        kept, part = self.parts[0], self.parts[1]
        kept_kernel = F.pad(gamma.new_ones(kept, 1, 1, 1), (1, 1, 1, 1))
        convs = (self.dwconv_hw, self.dwconv_w, self.dwconv_h)
        kernels, biases = [conv.weight for conv in convs], [required(conv.bias) for conv in convs]
        kernels[0] = torch.cat([kept_kernel, kernels[0]])
        biases[0] = torch.cat([gamma.new_zeros(kept), biases[0]])
        gammas = gamma.split([kept + part, part, part])
        return [
            kernel * factor.view(-1, 1, 1, 1) + _identity_like(kernel)
            for kernel, factor in zip(kernels, gammas, strict=True)
        ], [bias * factor for bias, factor in zip(biases, gammas, strict=True)]


def _identity_like(kernel: Tensor) -> Tensor:
    identity = torch.zeros_like(kernel[:1])
    identity[..., kernel.shape[-2] // 2, kernel.shape[-1] // 2] = 1
    return identity


class KernelGenerator(nn.Module):
    """Predicts one 3x3 kernel per channel from the sample's mean features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.predictor = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, 9 * channels, 1)
        )

    def forward(self, mean: Tensor) -> Tensor:
        """Return kernels, B, C, 3, 3, for mean features, B, C (what the predictor's pooling gives)."""
        # One pixel a sample is a matrix product; the convolution's set-up would cost more than its sums.
        hidden = F.relu(_on_vectors(self.predictor[1], mean))
        return _on_vectors(self.predictor[3], hidden).view(*mean.shape, 3, 3)


def _on_vectors(conv: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(conv, nn.Conv2d)
    return F.linear(x, conv.weight.flatten(1), conv.bias)


class DynamicTransformer(nn.Module):
    """A feed-forward whose 3x3 depth-wise kernels are generated for each sample.

    In training the kernels' batch mean is tracked; evaluation uses what was tracked, so that a trained network is a
    plain convolutional one. `eval_kernels = "per_sample"` keeps generating them in evaluation too.
    """

    identity_kernel: Tensor
    tracked_kernel: Tensor
    tracked_initialized: Tensor

    def __init__(self, channels: int, hidden: int, kernel_momentum: float, eval_kernels: EvalKernels) -> None:
        super().__init__()
        self.kernel_momentum = kernel_momentum
        self.eval_kernels = eval_kernels
        self.project_in = nn.Conv2d(channels, hidden, 1)
        self.kernel_generator = KernelGenerator(hidden)
        self.project_out = nn.Conv2d(hidden, channels, 1)
        identity = torch.zeros(hidden, 1, 3, 3)
        identity[..., 1, 1] = 1
        self.register_buffer("identity_kernel", identity)
        self.register_buffer("tracked_kernel", torch.zeros_like(identity))
        self.register_buffer("tracked_initialized", torch.tensor(False))

    def features(self, x: Tensor) -> Tensor:
        """Return what `project_out` takes: B, hidden, H, W."""
        x = self.project_in(x)
        if self.training or self.eval_kernels == "per_sample":
            x, mean = mean_of_planes(x)
            kernels = self.kernel_generator(mean)
            if self.training:
                self._track(kernels.detach())
            return filter_per_sample(x, kernels, LEAK)
        return F.leaky_relu_(filter_shared(x, self.shipped_kernel()), LEAK)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch alone, B, C, H, W."""
        return self.project_out(self.features(x))

    def added_to(self, x: Tensor, scale: LayerScale) -> Tensor:
        """Return `x + scale(self(x))` with the scale inside `project_out`."""
        return F.conv2d(self.features(x), *fold_scale(self.project_out, scale)).add_(x)

    @torch.no_grad()
    def _track(self, kernels: Tensor) -> None:
        mean = kernels.mean(0, dtype=self.tracked_kernel.dtype).unsqueeze(1)
        # The first batch moves all the way; decided on the device, so that no step waits for it.
        pace = torch.where(self.tracked_initialized, self.kernel_momentum, 1.0).to(mean.dtype)
        self.tracked_kernel.lerp_(mean, pace)
        self.tracked_initialized.fill_(True)

    def shipped_kernel(self) -> Tensor:
        """Return the kernel of evaluation, hidden, 1, 3, 3: the tracked one, or identity while nothing was tracked."""
        return torch.where(self.tracked_initialized, self.tracked_kernel, self.identity_kernel)


def fold_scale(conv: nn.Conv2d, scale: LayerScale) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the convolution that gives `scale(conv(x))`."""
    return conv.weight * scale.column().unsqueeze(1), required(conv.bias) * scale.gamma


def required(tensor: Tensor | None) -> Tensor:
    """Return the bias that every convolution of this family has."""
    assert tensor is not None
    return tensor


class ParagonBlock(nn.Module):
    """Context, transformer and, on request, window attention, each as a scaled residual."""

    def __init__(self, channels: int, band: int, transformer: DynamicTransformer, window: int | None) -> None:
        super().__init__()
        self.context = InceptionContext(channels, band)
        self.ls1 = LayerScale(channels)
        self.transformer = transformer
        self.ls2 = LayerScale(channels)
        self.attention = None if window is None else WindowAttention(channels, window)
        self.ls3 = None if window is None else LayerScale(channels)

    def forward(self, x: Tensor, folding: bool) -> Tensor:
        """Map B, C, H, W to the same; `folding` puts the layer scales into the convolutions' weights."""
        if folding:
            x = self.context.added_to(x, self.ls1)
            x = self.transformer.added_to(x, self.ls2)
        else:
            x = x + self.ls1(self.context(x))
            x = x + self.ls2(self.transformer(x))
        if self.attention is not None and self.ls3 is not None:
            x = x + self.ls3(self.attention(x))
        return x


class ResidualGroup(nn.Module):
    """Blocks in sequence, plus the group's input."""

    def __init__(self, blocks: list[ParagonBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, folding: bool) -> Tensor:
        """Map B, C, H, W to the same."""
        y = x
        for block in self.blocks:
            y = block(y, folding)
        return y + x


class HRBlock(nn.Module):
    """`x + conv2(LeakyReLU(conv1(x)))` at the output's size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.conv2(self.activated(x)).add_(x)

    def activated(self, x: Tensor) -> Tensor:
        """Return what `conv2` takes: B, C, H, W."""
        # In place: at this size a fresh map costs as much as the arithmetic on it.
        return F.leaky_relu_(self.conv1(x), LEAK)
