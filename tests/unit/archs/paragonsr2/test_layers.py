"""Single blocks against torch operations."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from traiNNer.archs.paragonsr2.layers import (
    DynamicTransformer,
    HRBlock,
    InceptionContext,
    KernelGenerator,
    LayerScale,
    ParagonBlock,
    ResidualGroup,
    fold_scale,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def scale_of(channels: int) -> LayerScale:
    scale = LayerScale(channels)
    nn.init.normal_(scale.gamma)
    return scale


def transformer(kernels="tracked", momentum=0.25) -> DynamicTransformer:
    return DynamicTransformer(4, 6, momentum, kernels)


def block(window: int | None = None) -> ParagonBlock:
    made = ParagonBlock(8, 5, DynamicTransformer(8, 12, 0.1, "tracked"), window)
    for scale in (made.ls1, made.ls2, *([made.ls3] if made.ls3 else [])):
        nn.init.normal_(scale.gamma)
    return made.eval()


def test_layer_scale_starts_near_zero_and_scales_each_channel():
    scale = LayerScale(2)
    assert scale.gamma.tolist() == pytest.approx([1e-5, 1e-5])
    scale.gamma.data = torch.tensor([2.0, -3.0])
    assert scale(torch.ones(1, 2, 1, 2)).tolist() == [[[[2, 2]], [[-3, -3]]]]


def test_context_uses_square_row_and_column_filters():
    context, x = InceptionContext(24, 5), torch.zeros(1, 24, 9, 9)
    for conv in (context.dwconv_hw, context.dwconv_w, context.dwconv_h):
        nn.init.ones_(conv.weight)
        nn.init.zeros_(conv.bias)
    x[:, :, 4, 4] = 1
    y = context(x)[0].int()
    reach = [(int(map_.any(1).sum()), int(map_.any(0).sum())) for map_ in y]
    assert reach == [(1, 1)] * 15 + [(3, 3)] * 3 + [(1, 5)] * 3 + [(5, 1)] * 3


def test_folding_the_scale_into_the_context_is_exact():
    context, scale, x = InceptionContext(16, 5), scale_of(16), torch.rand(2, 16, 7, 9)
    close(context.added_to(x, scale), x + scale(context(x)))


def test_folding_the_scale_into_a_convolution_is_exact():
    conv, scale, x = nn.Conv2d(4, 3, 3), scale_of(3), torch.rand(2, 4, 6, 6)
    close(F.conv2d(x, *fold_scale(conv, scale)), scale(conv(x)))


def test_predicted_kernels_match_the_description():
    generator, x = KernelGenerator(5), torch.rand(2, 5, 4, 6)
    close(generator(x.mean((2, 3))), generator.predictor(x).view(2, 5, 3, 3))


def test_first_batch_sets_the_tracked_kernel_and_momentum_moves_it():
    layer = transformer(momentum=0.25)
    means = []
    for _ in range(2):
        x = torch.rand(3, 4, 5, 5)
        means.append(layer.kernel_generator(layer.project_in(x).mean((2, 3))).mean(0).unsqueeze(1).detach())
        layer(x)
    close(layer.tracked_kernel, means[0] + 0.25 * (means[1] - means[0]))
    assert not layer.tracked_kernel.requires_grad


def test_evaluation_uses_identity_until_tracked_and_tracks_nothing():
    layer, x = transformer().eval(), torch.rand(1, 4, 5, 5)
    close(layer.features(x), F.leaky_relu(layer.project_in(x), 0.1))
    assert not layer.tracked_initialized
    layer.train()(x)
    layer.eval()
    kernel = layer.tracked_kernel.clone()
    expected = F.conv2d(layer.project_in(x), kernel, padding=1, groups=6)
    close(layer.features(x), F.leaky_relu(expected, 0.1))
    assert torch.equal(layer.tracked_kernel, kernel)


def test_per_sample_kernels_are_independent_of_the_batch():
    layer, x = transformer("per_sample").eval(), torch.rand(3, 4, 5, 5)
    close(layer(x)[1:2], layer(x[1:2]))
    assert not layer.tracked_initialized
    mean = layer.project_in(x).mean((2, 3))
    kernels = layer.kernel_generator(mean)[1].unsqueeze(1)
    close(layer.features(x)[1:2], F.leaky_relu(F.conv2d(layer.project_in(x[1:2]), kernels, padding=1, groups=6), 0.1))


@pytest.mark.parametrize("window", [None, 4])
def test_folded_block_equals_the_block(window):
    made, x = block(window), torch.rand(1, 8, 8, 12)
    folded, plain = made(x.clone(), True), made(x.clone(), False)
    close(folded, plain)
    middle = x + made.ls1(made.context(x))
    middle = middle + made.ls2(made.transformer(middle))
    if made.attention is not None:
        middle = middle + made.ls3(made.attention(middle))
    close(plain, middle)


def test_group_adds_its_input_to_its_blocks_in_order():
    one, two, x = block(), block(), torch.rand(1, 8, 6, 6)
    close(ResidualGroup([one, two])(x.clone(), False), two(one(x, False), False) + x)


def test_output_size_block_does_not_modify_its_input():
    layer, x = HRBlock(3), torch.rand(1, 3, 5, 5)
    kept = x.clone()
    close(layer(x), x + layer.conv2(F.leaky_relu(layer.conv1(x), 0.1)))
    assert torch.equal(x, kept)
