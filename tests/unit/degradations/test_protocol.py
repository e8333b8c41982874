"""Images of several sizes in one tensor."""

import numpy as np
import pytest
import torch

from traiNNer.degradations.protocol import Images, require_span, require_weights

PIXELS = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
SIZES = np.array([[4, 5], [6, 3]])


def test_beyond_an_image_its_last_row_and_column_repeat():
    images = Images(PIXELS, SIZES).with_pixels(PIXELS * 2)
    assert torch.equal(images.pixels[0, :, :4], (PIXELS[0, :, :4] * 2).clamp(max=1))
    assert torch.equal(images.pixels[0, :, 4:], images.pixels[0, :, 3:4].expand(3, 2, 5))
    assert torch.equal(images.pixels[1, :, :, 3:], images.pixels[1, :, :, 2:3].expand(3, 6, 2))


def test_parts_are_as_small_as_they_can_be_and_come_back():
    images = Images(PIXELS, SIZES).with_pixels(PIXELS)
    part = images.part(np.array([1]))
    assert part.pixels.shape == (1, 3, 6, 3)
    back = images.replaced(np.array([1]), part)
    assert torch.equal(back.pixels, images.pixels)
    smaller = images.replaced(np.array([1]), Images(part.pixels[:, :, :2], np.array([[2, 3]])))
    assert smaller.sizes.tolist() == [[4, 5], [2, 3]]
    assert torch.equal(smaller.pixels[0], images.pixels[0, :, :4])
    assert torch.equal(smaller.pixels[1, :, 2:, :3], part.pixels[0, :, 1:2].expand(3, 2, 3))


def test_spans_and_weights_are_checked():
    require_span((0, 1), "x")
    with pytest.raises(ValueError, match=r"x must be \[least, most\], not below 1; it is \[0, 1\]"):
        require_span((0, 1), "x", 1)
    require_weights(("a", "b"), (), "w")
    with pytest.raises(ValueError, match="w needs 2 numbers, not all 0: one for each of a, b"):
        require_weights(("a", "b"), (0, 0), "w")
