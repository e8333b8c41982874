import pytest
import torch

from traiNNer.archs.discriminators.metagan2 import GatedBlock, MetaGan2, PixelNorm


@pytest.mark.parametrize("options", [{"dims": (8, 12), "blocks": (1, 1)}, {"dims": (8, 16), "blocks": (1,)}])
def test_shapes_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match="multiples of 8"):
        MetaGan2(**options)


def test_first_stage_quarters_and_each_further_one_halves():
    assert MetaGan2(dims=(8, 16), blocks=(1, 1))(torch.rand(1, 3, 64, 96)).shape == (1, 16, 8, 12)


def test_every_pixel_has_a_mean_square_of_one():
    x = PixelNorm(8)(torch.rand(2, 8, 5, 6) * 7 + 1)
    torch.testing.assert_close(x.square().mean(1), torch.ones(2, 5, 6), rtol=0, atol=1e-5)


def test_block_sees_along_row_and_column():
    torch.manual_seed(0)
    block, x = GatedBlock(8), torch.rand(1, 8, 17, 17, requires_grad=True)
    torch.nn.init.ones_(block.gamma)
    gradient = torch.autograd.grad(block(x)[0, :, 8, 8].sum(), x)[0].abs().sum((0, 1)) > 0
    seen = torch.zeros(17, 17, dtype=torch.bool)
    seen[8, 3:14] = seen[3:14, 8] = True
    seen[7:10, 7:10] = True
    assert torch.equal(gradient, seen)
