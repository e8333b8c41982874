import pytest
import torch

from traiNNer.losses.feature_matching import FeatureMatchingLoss
from traiNNer.losses.judge import Judge


def judge():
    def network(images, features):
        features.extend([2 * images, images.mean((2, 3))])
        return images.mean((1, 2, 3))

    return Judge(network)


@pytest.mark.parametrize(("criterion", "expected"), [("l1", (0.4 + 0.2) / 2), ("l2", (0.16 + 0.04) / 2)])
def test_every_layer_counts_the_same(criterion, expected):
    output, target = torch.full((2, 3, 4, 4), 0.5, requires_grad=True), torch.full((2, 3, 4, 4), 0.3)
    value = FeatureMatchingLoss(criterion)(output, target, judge())
    assert value.item() == pytest.approx(expected)
    assert torch.autograd.grad(value, output)[0].abs().min() > 0


def test_equal_images_cost_nothing():
    image = torch.rand(1, 3, 4, 4)
    assert FeatureMatchingLoss()(image, image.clone(), judge()).item() == 0
