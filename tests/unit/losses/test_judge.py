import pytest
import torch
from torch import nn

from traiNNer.losses.judge import Judge


class Mean(nn.Module):
    """Judges an image by its mean, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.calls = 0

    def forward(self, images, features=None):
        self.calls += 1
        if features is not None:
            features.extend([self.weight * images, images.square()])
        return self.weight * images.mean((1, 2, 3)).unsqueeze(1)


def test_images_are_judged_once_and_without_gradient_where_they_have_none():
    network = Mean()
    judge, output, target = Judge(network), torch.rand(1, 3, 4, 4).requires_grad_(), torch.rand(1, 3, 4, 4)
    features = judge.features(output)
    assert judge(output).requires_grad
    assert judge.features(output) is features
    assert network.calls == 1
    assert not judge(target).requires_grad
    assert network.calls == 2


def test_discriminator_without_features_is_named():
    with pytest.raises(ValueError, match="network_d shows no features"):
        Judge(lambda images, *_: images.mean((1, 2, 3))).features(torch.rand(1, 3, 4, 4))


def test_features_that_will_be_asked_for_are_kept_by_the_first_pass():
    network = Mean()
    judge, output = Judge(network, keeps_features=True), torch.rand(1, 3, 4, 4)
    judge(output)
    assert len(judge.features(output)) == 2
    assert network.calls == 1
