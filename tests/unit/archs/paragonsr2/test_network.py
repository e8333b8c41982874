"""ParagonSR2 against a plain reimplementation of its description, and against the published table."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from traiNNer.archs.paragonsr2 import border
from traiNNer.archs.paragonsr2.network import ParagonSR2, paragonsr2_nano
from traiNNer.archs.recompute import recompute_blocks
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS

TABLE = {"nano": 83_139, "xs": 199_987, "s": 1_360_707, "m": 4_596_163, "l": 20.3e6, "xl": 59.2e6}


def described(n: ParagonSR2, x: Tensor, per_sample: bool) -> Tensor:
    """The forward pass as the architecture page writes it."""
    f = n.conv_in(x)
    g = f
    for group in n.body:
        start = g
        for block in group.blocks:
            c, t = block.context, block.transformer
            kept, square, row, column = g.split(c.parts, 1)
            context = torch.cat([kept, c.dwconv_hw(square), c.dwconv_w(row), c.dwconv_h(column)], 1)
            g = g + block.ls1.gamma[:, None, None] * context
            z = t.project_in(g)
            kernels = t.kernel_generator.predictor(z).reshape(*z.shape[:2], 3, 3)
            if not per_sample:
                kernels = t.tracked_kernel[:, 0].expand_as(kernels)
            padded = F.pad(z, (1, 1, 1, 1))
            height, width = z.shape[2:]
            z = sum(
                padded[:, :, i : i + height, j : j + width] * kernels[:, :, i, j, None, None]
                for i in range(3)
                for j in range(3)
            )
            g = g + block.ls2.gamma[:, None, None] * t.project_out(F.leaky_relu(z, 0.1))
        g = g + start
    u = n.conv_fuse(g) + f
    up = n.magic_upsampler
    sharp = up.sharpen.conv_v(up.sharpen.conv_h(u))
    u = u + up.alpha * (sharp - u)
    u = u.repeat_interleave(n.scale, 2).repeat_interleave(n.scale, 3)
    h = n.hr_conv_in(up.resample_conv.conv_v(up.resample_conv.conv_h(u)))
    for block in n.hr_head:
        h = h + block.conv2(F.leaky_relu(block.conv1(h), 0.1))
    return n.conv_out(h)


def visible(network: nn.Module) -> nn.Module:
    """Make the scaled branches matter: they start at 1e-5."""
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.normal_(parameter, std=0.5)
    return network


def trained(scale: int = 2, **options) -> ParagonSR2:
    torch.manual_seed(1)
    network = visible(ParagonSR2(scale, 16, 1, 2, band_kernel_size=5, **options))
    network(torch.rand(2, 3, 9, 11))
    return network.eval()


@pytest.mark.parametrize("name", TABLE)
def test_parameter_counts_match_the_table(name):
    with torch.device("meta"):
        network = ARCHS.build(f"paragonsr2_{name}", scale=2)
    count = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert count == TABLE[name] or (isinstance(TABLE[name], float) and abs(count - TABLE[name]) < 0.05e6)


def test_tensor_names_are_the_published_ones():
    state = paragonsr2_nano(scale=2).state_dict()
    block = "body.1.blocks.1."
    shapes = {
        "conv_in.weight": (24, 3, 3, 3),
        block + "ls1.gamma": (24,),
        block + "ls2.gamma": (24,),
        block + "context.dwconv_hw.weight": (3, 1, 3, 3),
        block + "context.dwconv_w.weight": (3, 1, 1, 9),
        block + "context.dwconv_h.weight": (3, 1, 9, 1),
        block + "transformer.project_in.weight": (36, 24, 1, 1),
        block + "transformer.project_out.weight": (24, 36, 1, 1),
        block + "transformer.kernel_generator.predictor.1.weight": (36, 36, 1, 1),
        block + "transformer.kernel_generator.predictor.3.weight": (324, 36, 1, 1),
        block + "transformer.identity_kernel": (36, 1, 3, 3),
        block + "transformer.tracked_kernel": (36, 1, 3, 3),
        block + "transformer.tracked_initialized": (),
        "conv_fuse.weight": (24, 24, 3, 3),
        "magic_upsampler.sharpen.conv_h.weight": (24, 1, 1, 7),
        "magic_upsampler.sharpen.conv_v.weight": (24, 1, 7, 1),
        "magic_upsampler.resample_conv.conv_h.weight": (24, 1, 1, 5),
        "magic_upsampler.resample_conv.conv_v.weight": (24, 1, 5, 1),
        "hr_conv_in.weight": (24, 24, 3, 3),
        "hr_head.0.conv1.weight": (24, 24, 3, 3),
        "hr_head.0.conv2.bias": (24,),
        "conv_out.weight": (3, 24, 3, 3),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert len(state) == 92


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("innermost", [False, True])
def test_training_forward_and_gradients_match_a_float64_reference(scale, innermost, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(border, "LEAST_PIXELS", 0)
    network = visible(ParagonSR2(scale, 24, 1, 2, 1.5, 5, upsampler_alpha=0.7)).double()
    plain = copy.deepcopy(network)
    x = torch.rand(3, 3, 7, 10, dtype=torch.float64)
    if innermost:
        network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    output, expected = network(x), described(plain, x, per_sample=True)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    weights = torch.rand_like(expected)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
        if theirs.requires_grad:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-10)


def test_evaluation_uses_the_tracked_kernel_unless_switched():
    network, x = trained(), torch.rand(2, 3, 8, 9)
    torch.testing.assert_close(network(x), described(network, x, per_sample=False), rtol=0, atol=1e-5)
    network.use_eval_kernels("per_sample")
    torch.testing.assert_close(network(x), described(network, x, per_sample=True), rtol=0, atol=1e-5)


def test_first_batch_sets_the_tracked_kernel_and_later_ones_move_it():
    network = visible(ParagonSR2(2, 8, 1, 1)).train()
    layer = network.transformers()[0]

    def batch_mean(x: Tensor) -> Tensor:
        features = []
        hook = layer.project_in.register_forward_hook(lambda *call: features.append(call[2].detach().clone()))
        network(x)
        hook.remove()
        kernels = layer.kernel_generator.predictor(features[0]).reshape(len(x), -1, 1, 3, 3)
        return kernels.mean(0)

    first = batch_mean(torch.rand(4, 3, 8, 8))
    torch.testing.assert_close(layer.tracked_kernel, first)
    assert layer.tracked_initialized
    second = batch_mean(torch.rand(4, 3, 8, 8) * 5)
    torch.testing.assert_close(layer.tracked_kernel, first + 0.05 * (second - first))
    assert not layer.tracked_kernel.requires_grad


def test_untrained_evaluation_warns_once_and_uses_the_identity():
    network = visible(ParagonSR2(2, 8, 1, 1)).eval()
    with pytest.warns(UserWarning, match="nothing was tracked"):
        output = network(torch.ones(1, 3, 8, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network(torch.ones(1, 3, 8, 8))
    layer = network.transformers()[0]
    layer.tracked_kernel.copy_(layer.identity_kernel)
    layer.tracked_initialized.fill_(True)
    torch.testing.assert_close(network(torch.ones(1, 3, 8, 8)), output)


def test_half_precision_keeps_small_layer_scales():
    torch.manual_seed(0)
    network, x = ParagonSR2(2, 16, 1, 2, init="published"), torch.rand(2, 3, 8, 8)
    expected = torch.autograd.grad(network(x).sum(), network.body[0].blocks[0].ls2.gamma)[0]
    with torch.autocast("cpu", torch.bfloat16):
        output = network(x)
    got = torch.autograd.grad(output.float().sum(), network.body[0].blocks[0].ls2.gamma)[0]
    assert F.cosine_similarity(got, expected, dim=0) > 0.999


@pytest.mark.parametrize(
    "options", [{}, {"upsampler_alpha": 0.0}, {"scale": 3}, {"use_attention": True}, {"hr_blocks": 0}]
)
def test_release_computes_the_evaluation_function(options):
    network, x = trained(**options), torch.rand(2, 3, 13, 9)
    released = network.fuse_for_release()
    with torch.no_grad():
        assert (released(x) - network(x)).abs().max() < 1e-5
    names = " ".join(released.state_dict())
    assert "gamma" not in names
    assert "predictor" not in names
    assert not any(parameter.requires_grad for parameter in released.parameters())


def test_released_nano_has_about_31k_learned_weights():
    with torch.device("meta"):
        network = paragonsr2_nano(scale=2)
    released = paragonsr2_nano(scale=2).fuse_for_release()
    filters = sum(parameter.numel() for parameter in released.magic_upsampler.parameters())
    total = sum(parameter.numel() for parameter in released.parameters())
    assert 31_000 <= total - filters < 32_000
    assert total < 0.5 * sum(parameter.numel() for parameter in network.parameters())


def test_new_models_start_from_the_correct_sharpening_taps():
    upsampler = paragonsr2_nano(scale=2).magic_upsampler
    expected = torch.tensor([-1.0, 6, -35, 204, -35, 6, -1]) / 144
    torch.testing.assert_close(upsampler.sharpen.conv_h.weight[5, 0, 0], expected)
    torch.testing.assert_close(upsampler.sharpen.conv_v.weight[5, 0, :, 0], expected)
    # A sharpening filter lifts the highest frequency, which the published taps weaken.
    signs = torch.tensor([-1.0, 1, -1, 1, -1, 1, -1])
    assert (expected * signs).sum() > 1.5
    assert upsampler.alpha == 0.5


def test_alpha_is_clamped():
    assert ParagonSR2(2, 8, 1, 1, upsampler_alpha=3.0).magic_upsampler.alpha == 1
    assert ParagonSR2(2, 8, 1, 1, upsampler_alpha=-1.0).magic_upsampler.alpha == 0


def test_impossible_options_are_refused_with_alternatives():
    with pytest.raises(ConfigError, match=r"num_feat 50 .*3 attention heads.*48"):
        ParagonSR2(2, 50, 1, 1, use_attention=True)
    with pytest.raises(ValidationError, match="odd; nearest: 7, 9"):
        ARCHS.build("ParagonSR2", {"band_kernel_size": 8}, scale=2)


def test_users_guide_options_build():
    options = {"num_feat": 48, "num_groups": 3, "num_blocks": 4, "use_attention": True}
    network = ARCHS.build("ParagonSR2", options, scale=2)
    assert "body.2.blocks.3.attention.qkv.weight" in network.state_dict()
    assert network.body[0].blocks[0].attention.heads == 3


def test_last_block_keeps_nothing_where_blocks_are_recomputed(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(border, "LEAST_PIXELS", 0)
    network = ParagonSR2(2, 24, 1, 2, hr_blocks=2).to(memory_format=torch.channels_last)
    calls, x = [], torch.rand(1, 3, 6, 8).contiguous(memory_format=torch.channels_last)
    network.hr_head[-1].conv1.register_forward_hook(lambda *_: calls.append(1))
    plain = network(x)
    plain.sum().backward()
    assert len(calls) == 1
    recompute_blocks(network)
    again = network(x)
    again.sum().backward()
    assert len(calls) == 3
    torch.testing.assert_close(again, plain, rtol=0, atol=1e-5)
