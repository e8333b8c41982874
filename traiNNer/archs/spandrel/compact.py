"""Compact (SRVGGNet, Wang et al., "Real-ESRGAN", 2021): plain convolutions, upsampled by the last one alone."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from traiNNer.archs.spandrel.kinds import Count
from traiNNer.archs.traits import Recipe, arch
from traiNNer.archs.variants import variant

SIZES = {"compact": (64, 16), "ultracompact": (64, 8), "superultracompact": (24, 8)}
"""Channels and inner convolutions of the variants that the community has named."""


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family."""
    places = [name.split(".") for name in state]
    if not places or any(place[0] != "body" or len(place) != 3 or not place[1].isdecimal() for place in places):
        return None
    last = max(int(place[1]) for place in places)
    first, slope, final = (state.get(f"body.{at}.weight") for at in (0, 1, last))
    if first is None or slope is None or final is None or (first.ndim, slope.ndim, final.ndim) != (4, 1, 4):
        return None
    num_feat, in_chans = first.shape[:2]
    scale = math.isqrt(final.shape[0] // in_chans)
    if scale * scale * in_chans != final.shape[0]:
        return None
    num_conv = last // 2 - 1
    named = {size: name for name, size in SIZES.items()}
    return {
        "type": named.get((num_feat, num_conv), "compact"),
        "num_feat": num_feat,
        "num_conv": num_conv,
        "in_chans": in_chans,
        "scale": scale,
    }


@arch(
    scales=(1, 2, 3, 4),
    infer_options=infer_options,
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8, muon_lr=5e-3),
    license="BSD-3-Clause",
    opens_as="Compact",
)
def compact(scale: int, num_feat: Count = 64, num_conv: Count = 16, in_chans: Count = 3) -> nn.Module:
    """Compact (SRVGGNet), plain convolutions.

    Args:
        num_feat: Channels between the convolutions.
        num_conv: Convolutions between the first and the last one.
        in_chans: Channels of the images.
    """
    from spandrel.architectures.Compact import Compact

    return Compact(num_in_ch=in_chans, num_out_ch=in_chans, num_feat=num_feat, num_conv=num_conv, upscale=scale)


ultracompact = variant("ultracompact", compact, num_feat=64, num_conv=8)
superultracompact = variant("superultracompact", compact, num_feat=24, num_conv=8)
