"""Window attention against a loop over windows, and its mirrored border against numpy."""

import numpy as np
import pytest
import torch

from traiNNer.archs.paragonsr2.attention import WindowAttention, mirror_to_multiple


def by_loops(layer: WindowAttention, x: torch.Tensor) -> torch.Tensor:
    """Softmax attention window by window, head by head, offset by offset."""
    side, (channels, height, width) = layer.window, x.shape
    depth = channels // layer.heads
    query, key, value = layer.qkv(x[None])[0].view(3, layer.heads, depth, height, width)
    mixed = torch.zeros_like(x)
    places = [(i, j) for i in range(side) for j in range(side)]
    rows = [[(a - c + side - 1) * (2 * side - 1) + b - d + side - 1 for c, d in places] for a, b in places]
    for top in range(0, height, side):
        for left in range(0, width, side):
            cut = (slice(top, top + side), slice(left, left + side))
            for head in range(layer.heads):
                q, k, v = (t[head][:, *cut].reshape(depth, -1) for t in (query, key, value))
                scores = q.T @ k / depth**0.5 + layer.relative_position_bias_table[rows, head]
                result = v @ scores.softmax(1).T
                mixed[head * depth : (head + 1) * depth, *cut] = result.view(depth, side, side)
    return layer.proj(mixed[None])[0]


def test_attention_matches_a_loop_over_windows():
    torch.manual_seed(0)
    layer = WindowAttention(32, 4).double()
    layer.relative_position_bias_table.data.normal_()
    x = torch.randn(2, 32, 8, 12, dtype=torch.float64)
    with torch.no_grad():
        expected = torch.stack([by_loops(layer, image) for image in x])
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 3), (5, 8), (9, 2)])
def test_odd_sizes_are_mirrored_and_cropped_back(size):
    x = torch.rand(1, 16, *size)
    larger = mirror_to_multiple(x, 8)
    missing = [(0, 0), (0, 0), *((0, -side % 8) for side in size)]
    np.testing.assert_array_equal(larger.numpy(), np.pad(x.numpy(), missing, mode="reflect"))
    layer = WindowAttention(16, 8)
    torch.testing.assert_close(layer(x), layer(larger)[:, :, : size[0], : size[1]])
