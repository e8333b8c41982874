import pytest
import torch
import torch.nn.functional as F
from torch import nn

from traiNNer.utils.tiles import run_tiled, spans


def network(scale=2, radius=3):
    """A convolutional upscaler whose receptive field has the given radius."""
    generator = torch.Generator().manual_seed(0)
    layers = []
    for _ in range(radius - 1):
        layers += [nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Conv2d(3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model.eval().requires_grad_(False)


def image(height, width, seed=1):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(64, 64), (61, 97), (40, 23), (7, 90), (100, 100)])
@pytest.mark.parametrize(("tile", "overlap"), [(32, 3), (16, 3), (5, 4), (20, 50), (1, 3)])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_equals_whole_when_overlap_covers_the_receptive_field(size, tile, overlap, scale):
    model, lq = network(scale), image(*size)
    torch.testing.assert_close(run_tiled(model, lq, scale, tile, overlap), model(lq), rtol=0, atol=1e-5)


def test_overlap_is_required_for_exactness():
    # Ensures that the tiles of the test above do not read everything.
    def blur(lq):
        return F.conv2d(lq, torch.ones(3, 1, 31, 31) / 31**2, padding=15, groups=3)

    lq = image(64, 64)
    far = (run_tiled(blur, lq, 1, 32, 0) - blur(lq)).abs().max()
    near = (run_tiled(blur, lq, 1, 32, 15) - blur(lq)).abs().max()
    assert far > 1e-2
    assert near < 1e-5


@pytest.mark.parametrize("size", [1, 7, 8, 9, 33, 64, 100, 257])
@pytest.mark.parametrize("tile", [1, 5, 16, 32, 300])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_weights_add_up_to_exactly_one(size, tile, scale):
    total = torch.zeros(size * scale)
    for span in spans(size, tile, 4):
        assert 0 <= span.start <= span.low < span.high <= span.stop <= size
        weights = span.weights(scale)
        assert (weights > 0).all()
        total[span.low * scale : span.high * scale] += weights
    assert torch.equal(total, torch.ones(size * scale))


def test_pixels_at_the_image_border_are_never_faded():
    first, *_, last = spans(100, 32, 8)
    assert first.weights(2)[0] == 1
    assert last.weights(2)[-1] == 1


def test_every_tile_reads_its_overlap_or_the_border():
    for size in (64, 100, 257):
        for overlap in (0, 5, 32):
            for span in spans(size, 32, overlap):
                assert span.start == 0 or span.low - span.start >= overlap
                assert span.stop == size or span.stop - span.high >= overlap
                assert span.start % 8 == 0
                assert span.stop - span.start <= 32 + 8 + 2 * (overlap + 8 + 8)


def test_tiles_are_balanced():
    # 65 pixels in tiles of 64 are two of about 32, not 64 and 1.
    cores = [span.high - span.low for span in spans(65, 64, 8)]
    assert len(cores) == 2
    assert max(cores) - min(cores) <= 8


def test_no_seams_or_dark_lines_with_too_little_overlap():
    # A wide blur of a constant image darkens towards every border that a tile reads up to: the worst case for seams.
    kernel = torch.ones(3, 1, 37, 37) / 37**2

    def blur(lq):
        return F.conv2d(lq, kernel, padding=18, groups=3)

    lq = torch.ones(1, 3, 96, 96)
    tiled = run_tiled(blur, lq, 1, 32, 4)[0, 0, 48]
    inside = tiled[20:-20]
    hard = blur(lq[..., :32])[0, 0, 48, -1]
    assert hard < 0.55  # the seams of tiles without blending
    assert inside.min() > 0.9
    assert inside.diff().abs().max() < 0.05


def test_image_smaller_than_a_tile_is_computed_once():
    calls = []

    def double(lq):
        calls.append(lq.shape)
        return lq.repeat_interleave(2, -1).repeat_interleave(2, -2)

    lq = image(20, 30)
    assert torch.equal(run_tiled(double, lq, 2, 32, 8), double(lq))
    assert calls[0] == lq.shape


def test_networks_on_blocks_of_pixels_see_the_same_blocks():
    def blocks(lq):
        pad = (0, -lq.shape[-1] % 8, 0, -lq.shape[-2] % 8)
        means = F.avg_pool2d(F.pad(lq, pad, mode="replicate"), 8)
        return means.repeat_interleave(8, -1).repeat_interleave(8, -2)[..., : lq.shape[-2], : lq.shape[-1]]

    lq = image(70, 101)
    torch.testing.assert_close(run_tiled(blocks, lq, 1, 30, 8), blocks(lq), rtol=0, atol=1e-6)


def test_tiles_of_one_size_are_computed_together_as_they_are_alone():
    sizes = []

    def double(lq):
        sizes.append(len(lq))
        return lq.repeat_interleave(2, -1).repeat_interleave(2, -2)

    lq = torch.cat([image(150, 200), image(150, 200).flip(-1)])
    together = run_tiled(double, lq, 2, 32, 8, at_once=4)
    assert max(sizes) == 4 * len(lq)
    torch.testing.assert_close(together, run_tiled(double, lq, 2, 32, 8), rtol=0, atol=1e-6)


def test_half_precision_output_keeps_its_type():
    lq = image(40, 40)
    assert run_tiled(lambda x: x.bfloat16(), lq, 1, 16, 4).dtype is torch.bfloat16


def test_wrong_scale_and_sizes_are_refused():
    with pytest.raises(ValueError, match="instead of"):
        run_tiled(lambda x: x, image(40, 40), 2, 16, 4)
    with pytest.raises(ValueError, match="tile_size"):
        run_tiled(lambda x: x, image(40, 40), 1, 0, 4)
