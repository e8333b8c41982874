"""SPAN (Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", 2024)."""

import copy

from torch import nn

from traiNNer.archs.spandrel.frozen import freeze
from traiNNer.archs.spandrel.kinds import Count
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant


def fuse(network: nn.Module) -> nn.Module:
    """Return a SPAN for inference alone: each of its triple convolutions is the one that it amounts to."""
    from spandrel.architectures.SPAN.__arch.span import Conv3XC

    fused = copy.deepcopy(network).requires_grad_(False)
    for parent in list(fused.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, Conv3XC):
                part.update_params()
                setattr(parent, name, part.eval_conv)
    return fused.eval()


@arch(
    scales=(1, 2, 3, 4),
    opens_as="SPAN",
    license="Apache-2.0",
    release=fuse,
    recipe=Recipe(lr=5e-4, lq_size=64, batch_size=8),
)
def span(
    scale: int, num_in_ch: Count = 3, num_out_ch: Count = 3, feature_channels: Count = 52, norm: bool = False
) -> nn.Module:
    """SPAN, convolutions with an attention that has no parameters.

    Each convolution has the weights of three in a row beside a 1 x 1, and is computed as the one that they amount to.
    The weights file holds that one too; it is computed anew at every evaluation and never trained itself.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output.
        feature_channels: Channels of the body.
        norm: Subtract the mean color of DIV2K and count in 0 to 255, as the authors did; for RGB only.
    """
    from spandrel.architectures.SPAN import SPAN

    from traiNNer.archs.spandrel.fixed import train_as_one

    network = SPAN(
        num_in_ch=num_in_ch, num_out_ch=num_out_ch, feature_channels=feature_channels, upscale=scale, norm=norm
    )
    return freeze(train_as_one(network), r"\.eval_conv\.")


span_s = variant("span_s", span, feature_channels=48)
span_f32 = variant("span_f32", span, feature_channels=32)
span_f64 = variant("span_f64", span, feature_channels=64)
span_f96 = variant("span_f96", span, feature_channels=96)
