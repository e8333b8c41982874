import pytest
import torch
import torch.nn.functional as F

from traiNNer.traits import ArchTraits
from traiNNer.utils.tiles import spans
from traiNNer.utils.upscaling import Tiling, reflect, upscale_image


class Picky:
    """Block means, upscaled; accepts only matching sizes."""

    def __init__(self, traits, scale=2):
        self.traits, self.scale, self.seen = traits, scale, []

    def __call__(self, lq):
        assert all(self.traits.fitting(side) == side for side in lq.shape[-2:]), lq.shape
        self.seen.append(lq)
        size = self.traits.size_multiple
        blocks = F.avg_pool2d(lq, size)
        means = blocks.repeat_interleave(size, -1).repeat_interleave(size, -2)
        return (lq + means).repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)


def image(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("side", [1, 2, 3, 17])
@pytest.mark.parametrize("size", [17, 18, 33, 64])
def test_reflection_padding_matches_numpy_at_any_size(side, size):
    import numpy as np

    lq = image(side, 5)
    expected = np.pad(lq.numpy(), ((0, 0), (0, 0), (0, size - side), (0, 0)), mode="reflect")
    assert torch.equal(reflect(lq, size, 5), torch.from_numpy(expected))


@pytest.mark.parametrize("size", [(90, 70), (1, 1), (3, 200), (16, 16)])
@pytest.mark.parametrize(("multiple", "least"), [(8, 16), (1, 20), (12, 1), (16, 40)])
def test_images_of_any_size_match_the_padded_whole(size, multiple, least):
    traits = ArchTraits(size_multiple=multiple, least_size=least)
    network, lq = Picky(traits), image(*size)
    output = upscale_image(network, lq, 2, traits)
    padded = reflect(lq, *(traits.fitting(side) for side in size))
    assert torch.equal(output, Picky(traits)(padded)[..., : 2 * size[0], : 2 * size[1]])


def test_supported_sizes_pass_unchanged():
    traits = ArchTraits(size_multiple=8, least_size=16)
    for declared, lq in ((ArchTraits(), image(13, 7)), (traits, image(24, 16))):
        network = Picky(declared)
        upscale_image(network, lq, 2, declared, Tiling())
        assert network.seen[0] is lq


@pytest.mark.parametrize("size", [(90, 70), (130, 131), (257, 33), (40, 300)])
@pytest.mark.parametrize(("multiple", "least"), [(8, 16), (1, 1), (16, 1), (12, 1), (8, 64), (32, 64)])
@pytest.mark.parametrize("tile", [1, 20, 48])
def test_tiles_see_the_blocks_of_the_padded_whole(size, multiple, least, tile):
    traits = ArchTraits(size_multiple=multiple, least_size=least)
    network, lq = Picky(traits), image(*size)
    tiled = upscale_image(network, lq, 2, traits, Tiling(tile, 4))
    assert len(network.seen) > 1
    torch.testing.assert_close(tiled, upscale_image(Picky(traits), lq, 2, traits), rtol=0, atol=1e-5)


def test_tiles_are_unchanged_without_demands():
    assert spans(257, 32, 8) == spans(257, 32, 8, 8, 1)
    second = spans(257, 32, 8)[1]
    assert (second.start, second.stop) == (16, 72)
