import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from traiNNer.losses.psnr import PSNRLoss
from traiNNer.utils.color import rgb_to_y


@pytest.mark.parametrize("noise", [0.3, 0.01])
def test_is_80_minus_the_psnr_of_each_image(noise):
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(3, 3, 12, 10, generator=generator)
    output = target + noise * torch.randn(target.shape, generator=generator) * torch.tensor([1, 2, 3]).view(3, 1, 1, 1)
    pairs = list(zip(output.double().numpy(), target.double().numpy(), strict=True))
    expected = 80 - np.mean([peak_signal_noise_ratio(t, o, data_range=1) for o, t in pairs])
    assert PSNRLoss()(output, target).item() == pytest.approx(expected, abs=1e-2)
    lumas = [[rgb_to_y(image.transpose(1, 2, 0) * 255) for image in pair] for pair in pairs]
    expected = 80 - np.mean([peak_signal_noise_ratio(t, o, data_range=255) for o, t in lumas])
    assert PSNRLoss(to_y=True)(output, target).item() == pytest.approx(expected, abs=1e-2)


def test_improving_always_lowers_it_and_it_stays_finite():
    target = torch.full((1, 3, 8, 8), 0.5)
    values = [PSNRLoss()(target + error, target).item() for error in (0.5, 0.1, 1e-3, 1e-5, 0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0
    assert len(set(values)) == 5
