"""SRFormer by the definition of its paper."""

import pytest
import torch

from traiNNer.archs.srformer import HIDDEN, SIZES, Block, PermutedAttention, infer_options, shifted_mask
from traiNNer.registry import ARCHS


def by_definition(layer: PermutedAttention, window: torch.Tensor) -> torch.Tensor:
    """One window, S, S, C, pixel after pixel: a key is four pixels in a row, each with a quarter of the channels."""
    side, _, channels = window.shape
    size = channels // layer.heads
    groups = [window[y : y + 2, x : x + 2].reshape(4, -1) for y in range(0, side, 2) for x in range(0, side, 2)]
    pairs = [layer.kv(group) for group in groups]
    keys = torch.stack([pair[:, : channels // 4].reshape(-1) for pair in pairs])
    values = torch.stack([pair[:, channels // 4 :].reshape(-1) for pair in pairs])
    made = torch.zeros_like(window)
    for y in range(side):
        for x in range(side):
            query = layer.q(window[y, x])
            heads = []
            for head in range(layer.heads):
                own = slice(head * size, (head + 1) * size)
                scores = keys[:, own] @ query[own] / size**0.5 + layer.bias[layer.index[y * side + x], head]
                heads.append(scores.softmax(0) @ values[:, own])
            made[y, x] = layer.proj(torch.cat(heads))
    return made


def test_four_pixels_are_one_key():
    torch.manual_seed(0)
    layer, window = PermutedAttention(8, 4, 2), torch.randn(4, 4, 8)
    with torch.no_grad():
        made = layer(window.reshape(1, 16, 8), None).view(4, 4, 8)
        torch.testing.assert_close(made, by_definition(layer, window), rtol=0, atol=1e-5)


def test_bias_tells_how_far_a_key_is():
    layer = PermutedAttention(8, 8, 2)
    index = layer.index.view(8, 8, 4, 4)
    assert index[0, 0, 0, 0] == index[7, 7, 3, 3] == index[3, 5, 1, 2] == 24  # in the middle of 7 x 7
    assert index[0, 0, 3, 3] == 0
    assert index[7, 7, 0, 0] == 48


def test_shifted_windows_do_not_join_the_ends_of_an_image():
    mask = shifted_mask(8, 16, 4, torch.zeros(1)).view(2, 4, 4, 4, 2, 2)
    assert (mask[0, :3] == 0).all()
    assert (mask[0, 3, :, :2, :, 1] == HIDDEN).all()
    assert (mask[0, 3, :, 2:, :, 1] == 0).all()
    torch.manual_seed(0)
    block, x = Block(8, 8, 2, 2.0, is_shifted=True), torch.rand(1, 16, 16, 8, requires_grad=True)
    y = block.attn(x.view(-1, 64, 8), shifted_mask(16, 16, 8, x))
    seen = torch.autograd.grad(y[3, -1].sum(), x)[0].view(4, 8, 8, 8).abs().amax(-1) > 1e-9
    assert seen[3, 4:, 4:].all()
    assert seen.sum() == 16


@pytest.mark.parametrize("name", SIZES)
def test_options_are_read_from_the_weights(name):
    found = infer_options(ARCHS.build(name, scale=3).state_dict())
    assert (found["type"], found["scale"]) == (name, 3)


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match="divisor of embed_dim"):
        ARCHS.build("srformer", {"num_heads": [7] * 6}, scale=2)
