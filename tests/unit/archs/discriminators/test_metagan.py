import pytest
import torch

from traiNNer.archs.discriminators.metagan import GatedBlock, MetaGAN3


@pytest.mark.parametrize("options", [{"dims": (8, 12)}, {"dims": (8, 16, 16), "blocks": (1,)}])
def test_shapes_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match="multiples of 8"):
        MetaGAN3(**{"blocks": (1,)} | options)


def test_each_stage_halves():
    assert MetaGAN3(dims=(8, 16, 16), blocks=(1, 1))(torch.rand(1, 3, 64, 96)).shape == (1, 1, 4, 6)


def test_block_sees_eight_pixels_far():
    x = torch.rand(1, 8, 33, 33, requires_grad=True)
    torch.manual_seed(0)
    block = GatedBlock(8)
    block.norm = torch.nn.Identity()  # which sees everything
    gradient = torch.autograd.grad(block(x)[0, :, 16, 16].sum(), x)[0]
    seen = gradient.abs().sum((0, 1)) > 0
    assert bool(seen[16, 8])
    assert bool(seen[24, 16])
    assert not bool(seen[16, 7])
