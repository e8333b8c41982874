import pytest
import torch
from torch import nn

from traiNNer.archs.discriminators.vgg import VGGStyleDiscriminator


def test_other_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match="input_size is 32, but the images have 40 x 32 pixels"):
        VGGStyleDiscriminator(num_feat=4, input_size=32)(torch.rand(1, 3, 32, 40))


@pytest.mark.parametrize(("side", "stages"), [(32, 3), (128, 5), (256, 6)])
def test_stages_halve_to_four_pixels_and_are_called_as_in_basicsr(side, stages):
    network = VGGStyleDiscriminator(num_feat=2, input_size=side)
    names = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    assert names == {f"conv{stage}_{place}" for stage in range(stages) for place in (0, 1)}
    assert network.linear1.in_features == 16 * min(2 * 2 ** (stages - 1), 16)
    assert "bn0_0.weight" not in network.state_dict()
    assert network(torch.rand(2, 3, side, side)).shape == (2, 1)
