import torch
import torch.nn.functional as F

from traiNNer.archs.discriminators.patch import MultiscalePatchGANDiscriminatorSN, PatchGANDiscriminatorSN


def test_sigmoid_is_an_option_of_patches():
    x = torch.rand(1, 3, 40, 40)
    torch.manual_seed(0)
    plain = PatchGANDiscriminatorSN(ndf=4).eval()
    other = PatchGANDiscriminatorSN(ndf=4, use_sigmoid=True).eval()
    other.load_state_dict(plain.state_dict())
    torch.testing.assert_close(other(x), torch.sigmoid(plain(x)))


def test_patch_of_three_layers_has_70_pixels():
    x = torch.rand(1, 3, 128, 128, requires_grad=True)
    logits = PatchGANDiscriminatorSN(ndf=4).eval()(x)
    assert logits.shape == (1, 1, 14, 14)
    seen = torch.autograd.grad(logits[0, 0, 7, 7], x)[0][0].abs().sum(0) > 0
    assert int(seen.any(0).sum()) == int(seen.any(1).sum()) == 70


def test_each_scale_has_one_mean_logit():
    network, x = MultiscalePatchGANDiscriminatorSN(ndf=4, num_d=2).eval(), torch.rand(2, 3, 64, 64)
    parts = [PatchGANDiscriminatorSN(ndf=4).eval() for _ in range(2)]
    for part, layers in zip(parts, network.layers, strict=True):
        part.model.load_state_dict(layers.state_dict())
    half = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    expected = torch.stack([parts[0](x).mean((1, 2, 3)), parts[1](half).mean((1, 2, 3))], 1)
    torch.testing.assert_close(network(x), expected)
