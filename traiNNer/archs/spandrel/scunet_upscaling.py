"""SCUNet with an upsampler (aaf6aa, 2023): spandrel's class with what enlarges; tensor names are the author's."""

import torch
from spandrel.architectures.SCUNet import SCUNet
from torch import Tensor, nn

STEEP = 0.2
SHARE = 0.2
"""How much of what is learned is added to what goes in, as in ESRGAN."""
GROWTH = 32
DENSE_BLOCKS = 2


class Doubling(nn.Module):
    """Repeats pixels and convolves them."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.up = nn.Sequential(*_doubled(inner), nn.Conv2d(inner, outer, 3, padding=1), nn.LeakyReLU(STEEP))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, inner, H, W to B, outer, 2*H, 2*W."""
        return self.up(x)


def _doubled(channels: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(STEEP)]


class DenseLayers(nn.Module):
    """Five convolutions, each of which sees the output of all before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for number in range(1, 6):
            outer = channels if number == 5 else GROWTH
            self.add_module(f"conv{number}", nn.Conv2d(channels + (number - 1) * GROWTH, outer, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        seen = [x]
        *inner, last = self.children()
        for conv in inner:
            seen.append(nn.functional.leaky_relu(conv(torch.cat(seen, dim=1)), STEEP))
        return last(torch.cat(seen, dim=1)) * SHARE + x


class DenseBlock(nn.Module):
    """Three of them in sequence, a part of which is added to what goes in (RRDB of Wang et al., "ESRGAN", 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseLayers(channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to the same."""
        return self.rdb3(self.rdb2(self.rdb1(x))) * SHARE + x


class Enlarging(nn.Module):
    """Dense blocks, then pixels are doubled until the scale is reached."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        blocks = [DenseBlock(channels) for _ in range(DENSE_BLOCKS)]
        doublings = [layer for _ in range(scale.bit_length() - 1) for layer in _doubled(channels)]
        last = (nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(STEEP))
        self.up = nn.Sequential(*blocks, *doublings, *last)

    def forward(self, x: Tensor) -> Tensor:
        """Map B, C, H, W to B, C, scale*H, scale*W."""
        return self.up(x)


class Noise:
    """Adds Gaussian noise to the output of a module in training.

    Args:
        width: its standard deviation.
    """

    def __init__(self, width: float) -> None:
        self.width = width

    def __call__(self, module: nn.Module, _: object, output: Tensor) -> Tensor:
        """Return the output, noisy where the module is trained."""
        if not module.training:
            return output
        return output + self.width * torch.randn(output.shape, device=output.device, dtype=output.dtype)


class UpscalingSCUNet(SCUNet):
    """SCUNet that enlarges.

    Args:
        scale: 1, 2, 4 or 8.
        in_nc: channels of the images.
        config: blocks at each of the seven places.
        dim: channels at full size.
        drop_path_rate: chance that a block is skipped in training.
        input_resolution: side of the images that the network is laid out for.
        residual: whether the shallow features are convolved before they are added.
        noise: standard deviation of the noise that each block adds in training.
    """

    def __init__(
        self,
        scale: int,
        in_nc: int,
        config: list[int],
        dim: int,
        drop_path_rate: float,
        input_resolution: int,
        residual: bool,
        noise: float,
    ) -> None:
        super().__init__(
            in_nc=in_nc, config=config, dim=dim, drop_path_rate=drop_path_rate, input_resolution=input_resolution
        )
        if noise:
            for block in (part for part in self.modules() if type(part).__name__ == "ConvTransBlock"):
                block.register_forward_hook(Noise(noise))
        self.m_res = nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1, bias=False)) if residual else None
        self.m_upsample = None
        if scale > 1:
            for name, channels in (("m_up3", 8 * dim), ("m_up2", 4 * dim), ("m_up1", 2 * dim)):
                self.get_submodule(name).add_module("0", Doubling(channels, channels // 2))
            self.m_upsample = nn.Sequential(Enlarging(dim, scale))

    def forward(self, x0: Tensor) -> Tensor:
        """Map B, C, H, W in [0, 1] to B, C, scale*H, scale*W, not clamped; sides are multiples of 64."""
        stage = self.get_submodule  # spandrel types its stages as lists
        shallow = stage("m_head")(x0)
        first = stage("m_down1")(shallow)
        second = stage("m_down2")(first)
        third = stage("m_down3")(second)
        x = stage("m_up3")(stage("m_body")(third) + third)
        x = stage("m_up1")(stage("m_up2")(x + second) + first)
        x = x + (shallow if self.m_res is None else self.m_res(shallow))
        return stage("m_tail")(x if self.m_upsample is None else self.m_upsample(x))
