"""SCUNet_aaf6aa (aaf6aa, 2023): SCUNet with an upsampler, and with noise between its blocks in training."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from traiNNer.archs.reading import count_parts
from traiNNer.archs.spandrel.kinds import Chance, Count
from traiNNer.archs.traits import Recipe, arch

PLACES = ("m_down1", "m_down2", "m_down3", "m_body", "m_up1", "m_up2", "m_up3")


def infer_options(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """Return `type`, options and `scale` that rebuild the network of a bare state dict; None for another family.

    One at scale 1 without the residual convolution is spandrel's SCUNet.
    """
    first = state.get("m_head.0.weight")
    if first is None or not {"m_res.0.weight", "m_upsample.0.up.0.rdb1.conv1.weight"} & state.keys():
        return None
    layers = sum(name.startswith("m_upsample.0.up.") and name.count(".") == 4 for name in state) // 2
    down, body, up = PLACES[:3], PLACES[3:4], PLACES[6:3:-1]
    return {
        "type": "scunet_aaf6aa",
        "in_nc": first.shape[1],
        "config": [count_parts(state, f"{place}.") - (place != "m_body") for place in (*down, *body, *up)],
        "dim": first.shape[0],
        "residual": "m_res.0.weight" in state,
        "scale": 2 ** max(layers - 1, 0),
    }


@arch(
    scales=(1, 2, 4, 8),
    size_multiple=64,
    infer_options=infer_options,
    license="Apache-2.0",
    recipe=Recipe(lr=2e-4, lq_size=64, batch_size=8),
)
def scunet_aaf6aa(
    scale: int,
    in_nc: Count = 3,
    config: Annotated[tuple[Count, ...], Field(min_length=7, max_length=7)] = (2,) * 7,
    dim: Annotated[int, Field(gt=0, multiple_of=64)] = 64,
    drop_path_rate: Chance = 0.0,
    input_resolution: Annotated[int, Field(ge=64)] = 256,
    residual: bool = True,
    noise: Annotated[float, Field(ge=0)] = 0.05,
) -> nn.Module:
    """SCUNet that enlarges.

    The author's code pads images by another 32 pixels when it evaluates; here only where their sides ask for it.

    Args:
        in_nc: Channels of the images.
        config: Blocks at each of the seven places, from full size down and up again.
        dim: Channels at full size, a multiple of 64; doubled at each smaller one.
        drop_path_rate: Chance that a block is skipped in training, for the last one; earlier ones less.
        input_resolution: Side of the images that the network is laid out for; others work. At 64 the windows of the
            smallest size are not shifted, as in the author's weights at scales above 1.
        residual: Convolve the shallow features before they are added.
        noise: Standard deviation of the noise that each block adds in training.
    """
    from traiNNer.archs.spandrel.scunet_upscaling import UpscalingSCUNet

    return UpscalingSCUNet(scale, in_nc, list(config), dim, drop_path_rate, input_resolution, residual, noise)
