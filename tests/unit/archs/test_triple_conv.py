"""The triple convolution as one against the four that hold its weights."""

import torch
import torch.nn.functional as F

from traiNNer.archs.triple_conv import TripleConv, amounts_to, as_four


def test_one_convolution_equals_four_with_every_gradient():
    torch.manual_seed(0)
    layer = TripleConv(3, 5).double()
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    trained = [x, *layer.conv.parameters(), *layer.sk.parameters()]
    one, four = layer(x), as_four(x, layer.conv, layer.sk)
    torch.testing.assert_close(one, four, rtol=0, atol=1e-10)
    weights = torch.randn_like(one)
    ours = torch.autograd.grad((one * weights).sum(), trained)
    theirs = torch.autograd.grad((four * weights).sum(), trained)
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-10)
        assert expected.abs().max() > 0


def test_evaluation_and_the_weights_file_hold_the_same_convolution():
    layer, x = TripleConv(3, 5), torch.randn(1, 3, 6, 7)
    trained = layer.train()(x)
    assert torch.equal(layer.eval()(x), trained)
    state = layer.state_dict()  # holds the one that it amounts to, whatever was evaluated before
    kernel, bias = amounts_to(layer.conv, layer.sk)
    assert torch.equal(state["eval_conv.weight"], kernel)
    assert torch.equal(state["eval_conv.bias"], bias)
    stored = F.conv2d(x, state["eval_conv.weight"], state["eval_conv.bias"], padding=1)
    torch.testing.assert_close(stored, trained, rtol=0, atol=1e-5)
    assert not layer.eval_conv.weight.requires_grad
