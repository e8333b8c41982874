"""The registered archs as tests build them: the base of each family small, every arch as it comes at night."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from traiNNer.registry import ARCHS, Component

TINY: dict[str, dict[str, Any]] = {
    "artcnn": {"filters": 8, "n_block": 1},
    "atd": {"embed_dim": 16, "depths": [2], "num_heads": [2], "window_size": 8, "num_tokens": 8, "reducted_dim": 4},
    "compact": {"num_feat": 8, "num_conv": 2},
    "craft": {"depths": [2], "num_heads": [6]},
    "dat": {"embed_dim": 64, "depth": [2], "num_heads": [2], "split_size": [4, 8], "expansion_factor": 2.0},
    "dctlsa": {"nf": 10},
    "dis": {"num_features": 8, "num_blocks": 1},
    "ditn_real": {"dim": 12, "ITL_blocks": 1, "SAL_blocks": 1},
    "drct": {"embed_dim": 16, "depths": [6], "num_heads": [2], "window_size": 8, "gc": 8},
    "eimn": {"embed_dims": 8, "num_stages": 2},
    "elan": {"m_elan": 2, "c_elan": 12},
    "esrgan": {"num_filters": 8, "num_blocks": 1},
    "fdat": {"embed_dim": 16, "num_groups": 1, "depth_per_group": 1, "num_heads": 2, "mid_dim": 8},
    "gaterv3": {"dim": 8, "enc_blocks": [1, 1], "dec_blocks": [1, 1], "num_latent": 1, "sisr_blocks": 1},
    "grl": {"embed_dim": 36, "depths": [1], "num_heads_window": [2], "num_heads_stripe": [2]},
    "hat": {"embed_dim": 32, "depths": [2], "num_heads": [2], "window_size": 8, "squeeze_factor": 8},
    "lkfmixer": {"channels": 8, "num_block": 1, "large_kernel": 9},
    "lmlt": {"dim": 8, "n_blocks": 1},
    "man": {"n_feats": 6, "n_resblocks": 1, "n_resgroups": 2},
    "moesr2": {"dim": 8, "n_blocks": 1, "n_block": 1},
    "mosr": {"dim": 8, "n_block": 1},
    "mosrv2": {"dim": 8, "n_block": 1},
    "nafnet": {"width": 8, "middle_blk_num": 1, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]},
    "omnisr": {"num_feat": 16, "res_num": 1},
    "paragonsr2": {"num_feat": 8, "num_groups": 1, "num_blocks": 1, "band_kernel_size": 5},
    "plksr": {"dim": 16, "n_blocks": 1, "kernel_size": 7},
    "rcan": {"n_resgroups": 1, "n_resblocks": 1, "n_feats": 16, "reduction": 4},
    "realcugan": {},
    "realplksr": {"dim": 16, "n_blocks": 1, "kernel_size": 7},
    "rgt": {"embed_dim": 64, "depth": [2], "num_heads": [2], "split_size": [4, 8]},
    "rtmosr": {"dim": 8, "n_blocks": 1},
    "safmn": {"dim": 8, "n_blocks": 1},
    "scunet": {"config": [1, 1, 1, 1, 1, 1, 1]},
    "sebica": {"N": 4},
    "scunet_aaf6aa": {"config": [1, 1, 1, 1, 1, 1, 1], "noise": 0.0},
    "seemore_t": {},
    "span": {"feature_channels": 8},
    "spanplus": {"feature_channels": 8, "blocks": [1, 1]},
    "srformer": {"embed_dim": 16, "depths": [2], "num_heads": [2], "window_size": 8},
    "swin2sr": {"embed_dim": 16, "depths": [2], "num_heads": [2], "img_size": 32},
    "swinir": {"embed_dim": 16, "depths": [2], "num_heads": [2], "img_size": 32},
    "temporalspan": {"feature_channels": 24, "history_channels": 4},
}
"""Options that make the base of a family as small as it goes."""

SLOWEST = ("scunet_aaf6aa",)
SLOW = ("grl", *SLOWEST)


@dataclass(frozen=True)
class Member:
    """An arch with options to build it."""

    component: Component
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def scales(self) -> tuple[int, ...]:
        return self.component.traits.scales or (2, 3, 4)

    @property
    def scale(self) -> int:
        return 2 if 2 in self.scales else self.scales[0]

    def build(self, scale: int | None = None) -> nn.Module:
        torch.manual_seed(0)
        return self.component.build(self.options, scale=scale or self.scale)

    def images(self, batch: int = 2) -> Tensor:
        """Return images, or clips, of a size that the network takes."""
        traits = self.component.traits
        return self.of_size(batch, traits.fitting(12), traits.fitting(8))

    def of_size(self, batch: int, height: int, width: int) -> Tensor:
        frames = self.component.traits.frames(self.component.options.parse(self.options).model_dump())
        shape = (batch, 3, height, width) if frames == 1 else (batch, frames, 3, height, width)
        return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def upscalers() -> list[Component]:
    """Return the archs that make images, not those that judge them."""
    return [component for component in ARCHS if not component.traits.discriminates]


def everyday() -> list[Member]:
    """Return the base of every family of ours, tiny; tests register archs of their own."""
    bases = [part for part in upscalers() if not part.traits.family and part.builder.__module__.startswith("traiNNer.")]
    return [Member(component, TINY[component.name]) for component in bases]


def each(members: list[Member], slow: bool = False) -> pytest.MarkDecorator:
    """Parametrize `member` by the bases of families, and at night by every arch with its own defaults.

    Families whose windows make even a tiny image large wait for the night as well; `slow` tests have all but the
    slowest of them.
    """
    names = {member.component.name for member in members}
    asis = [Member(component) for component in upscalers() if (component.traits.family or component.name) in names]
    waiting = SLOWEST if slow else SLOW
    return pytest.mark.parametrize(
        "member",
        [
            pytest.param(
                member, id=member.component.name, marks=[pytest.mark.nightly] * (member.component.name in waiting)
            )
            for member in members
        ]
        + [pytest.param(member, id=f"{member.component.name}-whole", marks=pytest.mark.nightly) for member in asis],
    )


def fill(network: nn.Module, gain: float = 0.2) -> None:
    """Give every trained parameter numbers that any implementation can repeat."""
    with torch.no_grad():
        for place, (_, part) in enumerate(sorted(network.named_parameters(), key=lambda named: named[0])):
            values = (torch.arange(part.numel(), dtype=torch.float64) * 0.37 + place).sin() * gain
            if part.requires_grad:
                part.copy_(values.view(part.shape).float())


def probe(network: nn.Module, height: int = 7, width: int = 6, gain: float = 0.2) -> list[float]:
    """Return mean, deviation and one pixel of what the network, filled, makes of a fixed image."""
    fill(network, gain)
    pixels = (torch.arange(3 * height * width, dtype=torch.float64) * 0.61).cos() * 0.5 + 0.5
    with torch.no_grad():
        y = network.eval()(pixels.view(1, 3, height, width).float())
    return [y.mean().item(), y.std().item(), y[0, 1, 3, 4].item()]
