"""ParagonSR2 (Philip Hofmann), our own implementation; tensor names are those of the published checkpoints."""

import warnings
from dataclasses import asdict
from typing import Annotated

from pydantic import AfterValidator, Field
from torch import Tensor, compiler, jit, nn

from traiNNer.archs.paragonsr2.enlarged import conv_first, enlarge, may_convolve_first
from traiNNer.archs.paragonsr2.layers import DynamicTransformer, EvalKernels, HRBlock, ParagonBlock, ResidualGroup
from traiNNer.archs.paragonsr2.release import ReleasedParagonSR2
from traiNNer.archs.paragonsr2.start import Start, start_from_identity
from traiNNer.archs.paragonsr2.state import VARIANTS, adapt_state, infer_options
from traiNNer.archs.paragonsr2.tail import may_merge, merged_tail
from traiNNer.archs.paragonsr2.upsampler import MagicUpsampler
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd; nearest: {value - 1}, {value + 1}")
    return value


Count = Annotated[int, Field(gt=0)]
OddCount = Annotated[int, Field(gt=0), AfterValidator(_odd)]
Momentum = Annotated[float, Field(gt=0, le=1)]


@arch(
    scales=(1, 2, 3, 4, 8),
    release=lambda network: network.fuse_for_release(),
    infer_options=infer_options,
    adapt_state=adapt_state,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8, muon_lr=5e-3),
)
class ParagonSR2(nn.Module):
    """ParagonSR2 with every size given by hand; the `paragonsr2_*` variants begin with those of the author.

    Args:
        num_feat: Channels of the body (C).
        num_groups: Residual groups.
        num_blocks: Blocks in each group.
        ffn_expansion: Channels inside the dynamic transformer as a multiple of `num_feat`.
        band_kernel_size: Length of the row and column filters, odd.
        hr_blocks: Residual blocks after upsampling.
        in_chans: Channels of the images.
        upsampler_alpha: How much of the sharpened features goes into the upsampler, 0 (none, skipped) to 1; clamped.
        use_attention: Give each block a third branch, self-attention inside windows.
        window_size: Side of the attention windows in LQ pixels.
        kernel_momentum: How far a training batch moves the tracked kernels towards its own mean.
        eval_kernels: Kernels of evaluation: `tracked` ones, which is what a released network uses, or new ones
            `per_sample` as in training.
        init: How a new network begins: as the upsampler alone (`identity`), or as `published`.
    """

    def __init__(
        self,
        scale: int,
        num_feat: Annotated[int, Field(ge=8)] = 48,
        num_groups: Count = 3,
        num_blocks: Count = 4,
        ffn_expansion: Annotated[float, Field(gt=0)] = 2.0,
        band_kernel_size: OddCount = 11,
        hr_blocks: Annotated[int, Field(ge=0)] = 1,
        in_chans: Count = 3,
        upsampler_alpha: float = 0.5,
        use_attention: bool = False,
        window_size: Count = 8,
        kernel_momentum: Momentum = 0.05,
        eval_kernels: EvalKernels = "tracked",
        init: Start = "identity",
    ) -> None:
        super().__init__()

        def block() -> ParagonBlock:
            hidden = max(1, int(num_feat * ffn_expansion))
            transformer = DynamicTransformer(num_feat, hidden, kernel_momentum, eval_kernels)
            return ParagonBlock(num_feat, band_kernel_size, transformer, window_size if use_attention else None)

        self.scale = scale
        self._kernels_checked = False
        self.conv_in = nn.Conv2d(in_chans, num_feat, 3, padding=1)
        self.body = nn.ModuleList(ResidualGroup([block() for _ in range(num_blocks)]) for _ in range(num_groups))
        self.conv_fuse = nn.Conv2d(num_feat, num_feat, 3, padding=1)
        self.magic_upsampler = MagicUpsampler(num_feat, scale, upsampler_alpha)
        self.hr_conv_in = nn.Conv2d(num_feat, num_feat, 3, padding=1)
        self.hr_head = nn.Sequential(*(HRBlock(num_feat) for _ in range(hr_blocks)))
        self.conv_out = nn.Conv2d(num_feat, in_chans, 3, padding=1)
        if init == "identity":
            start_from_identity(self, (self.conv_in, self.hr_conv_in), self.conv_out, self.conv_fuse)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, in_chans, H, W in [0, 1] to B, in_chans, scale*H, scale*W, not clamped."""
        if not (self.training or self._kernels_checked or _is_recorded()):
            self._check_kernels()
        f = self.conv_in(x)
        # In half precision a layer scale of 1e-5 inside a weight would be rounded off.
        folding = f.dtype.itemsize >= 4
        g = f
        for group in self.body:
            g = group(g, folding)
        return self._image(self.conv_fuse(g).add_(f))

    def _image(self, u: Tensor) -> Tensor:
        """Map features, B, num_feat, H, W, to the image; where it is quicker, with convolutions merged or exchanged."""
        is_recorded, up = _is_recorded(), self.magic_upsampler
        u = up.sharpened(u)
        if not is_recorded and may_convolve_first(u, up.smooth, self.hr_conv_in, self.scale):
            h = conv_first(u, up.smooth, self.hr_conv_in, self.scale)
        else:
            h = self.hr_conv_in(enlarge(u, up.smooth, self.scale))
        last = self.hr_head[-1] if len(self.hr_head) else None
        # Not by isinstance: a block that is computed again in the backward pass must keep nothing, so it runs whole.
        if is_recorded or type(last) is not HRBlock or not may_merge(h, self.conv_out):
            return self.conv_out(self.hr_head(h))
        h = self.hr_head[:-1](h)
        return merged_tail(h, last.activated(h), last.conv2, self.conv_out)

    def transformers(self) -> list[DynamicTransformer]:
        """Return the dynamic layers, in order."""
        return [module for module in self.modules() if isinstance(module, DynamicTransformer)]

    def use_eval_kernels(self, kernels: EvalKernels) -> None:
        """Choose the kernels of evaluation from now on."""
        for transformer in self.transformers():
            transformer.eval_kernels = kernels

    def _check_kernels(self) -> None:
        # Looked at once: reading the flags makes an accelerator wait.
        self._kernels_checked = True
        layers = [layer for layer in self.transformers() if layer.eval_kernels == "tracked"]
        if any(not layer.tracked_initialized.is_meta and not layer.tracked_initialized.item() for layer in layers):
            warnings.warn(
                "ParagonSR2 evaluates with identity kernels: nothing was tracked yet (train it or load weights first)",
                stacklevel=3,
            )

    def fuse_for_release(self) -> ReleasedParagonSR2:
        """Return an inference-only network that computes the evaluation function with tracked kernels."""
        names = ("conv_in", "conv_fuse", "hr_conv_in", "hr_head", "conv_out")
        plain = nn.ModuleDict({name: self.get_submodule(name) for name in names})
        groups = [group for group in self.body if isinstance(group, ResidualGroup)]
        return ReleasedParagonSR2(plain, groups, self.magic_upsampler)


def _is_recorded() -> bool:
    """Whether the forward pass is being recorded, to compile or to export it: then values cannot be read."""
    return compiler.is_compiling() or jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage] - documented


paragonsr2_nano = variant("paragonsr2_nano", ParagonSR2, **asdict(VARIANTS["paragonsr2_nano"]))
paragonsr2_xs = variant("paragonsr2_xs", ParagonSR2, **asdict(VARIANTS["paragonsr2_xs"]))
paragonsr2_s = variant("paragonsr2_s", ParagonSR2, **asdict(VARIANTS["paragonsr2_s"]))
paragonsr2_m = variant("paragonsr2_m", ParagonSR2, **asdict(VARIANTS["paragonsr2_m"]))
paragonsr2_l = variant("paragonsr2_l", ParagonSR2, **asdict(VARIANTS["paragonsr2_l"]))
paragonsr2_xl = variant("paragonsr2_xl", ParagonSR2, **asdict(VARIANTS["paragonsr2_xl"]))
