"""Compact (SRVGGNet, Wang et al., "Real-ESRGAN", 2021): plain convolutions, upsampled by the last one alone."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.traits import Recipe, arch

Count = Annotated[int, Field(gt=0)]
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


TRAITS: dict[str, Any] = {
    "scales": (1, 2, 3, 4),
    "infer_options": infer_options,
    "recipe": Recipe(lr=2e-4, lq_size=64, batch_size=8, muon_lr=5e-3),
}


def _variant(name: str, feat: int, conv: int) -> Callable[..., nn.Module]:
    def build(scale: int, num_feat: Count = feat, num_conv: Count = conv, in_chans: Count = 3) -> nn.Module:
        from spandrel.architectures.Compact import Compact

        return Compact(num_in_ch=in_chans, num_out_ch=in_chans, num_feat=num_feat, num_conv=num_conv, upscale=scale)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"""Compact (SRVGGNet) of {feat} channels and {conv} inner convolutions.

    Args:
        num_feat: Channels between the convolutions.
        num_conv: Convolutions between the first and the last one.
        in_chans: Channels of the images.
    """
    return arch(**TRAITS)(build)


compact = _variant("compact", *SIZES["compact"])
ultracompact = _variant("ultracompact", *SIZES["ultracompact"])
superultracompact = _variant("superultracompact", *SIZES["superultracompact"])
