"""Self-attention inside windows, the optional third branch of a ParagonSR2 block."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.errors import ConfigError


class WindowAttention(nn.Module):
    """Multi-head self-attention in non-overlapping windows with relative position bias (Liu et al. 2021, "Swin").

    Sides that are not multiples of the window are mirrored up to the next one and cropped back.
    """

    relative_position_index: Tensor

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.heads = max(1, channels // 16)
        if channels % self.heads:
            lower = next(c for c in range(channels, 0, -1) if c % max(1, c // 16) == 0)
            raise ConfigError(
                f"num_feat {channels} cannot be split into {self.heads} attention heads (use_attention); try {lower}"
            )
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, self.heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _relative_positions(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branch alone, B, C, H, W."""
        return self.proj(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return what `proj` takes: B, C, H, W."""
        height, width = x.shape[2:]
        qkv = self.qkv(mirror_to_multiple(x, self.window))
        query, key, value = self._windows(qkv)
        area = self.window**2
        bias = self.relative_position_bias_table[self.relative_position_index].view(area, area, self.heads)
        mask = bias.permute(2, 0, 1).unsqueeze(0).to(query.dtype)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self._image(mixed, qkv)[:, :, :height, :width]

    def _windows(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # B, 3C, H, W -> three of (B * windows), heads, pixels, channels of a head
        batch, channels, height, width = qkv.shape
        side, depth = self.window, channels // (3 * self.heads)
        tiles = qkv.reshape(batch, 3, self.heads, depth, height // side, side, width // side, side)
        tiles = tiles.permute(1, 0, 4, 6, 2, 5, 7, 3).reshape(3, -1, self.heads, side * side, depth)
        query, key, value = tiles.unbind(0)
        return query, key, value

    def _image(self, windows: Tensor, qkv: Tensor) -> Tensor:
        batch, channels, height, width = qkv.shape
        side = self.window
        tiles = windows.reshape(batch, height // side, width // side, self.heads, side, side, -1)
        return tiles.permute(0, 3, 6, 1, 4, 2, 5).reshape(batch, channels // 3, height, width)


def _relative_positions(window: int) -> Tensor:
    # For every pair of pixels of a window, the row of the bias table that belongs to their offset.
    axis = torch.arange(window)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()])
    offsets = places[:, :, None] - places[:, None, :] + window - 1
    return (offsets[0] * (2 * window - 1) + offsets[1]).flatten()


def mirror_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Extend B, C, H, W at the bottom and right by reflection until both sides are multiples; any size works."""
    for dim in (2, 3):
        length = x.shape[dim]
        target = -(-length // multiple) * multiple
        if target > length:
            # Unlike padding, an index reflects again where the image is smaller than what is missing.
            period = max(1, 2 * (length - 1))
            place = torch.arange(target, device=x.device) % period
            x = x.index_select(dim, torch.where(place < length, place, period - place))
    return x
