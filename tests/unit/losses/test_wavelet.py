import numpy as np
import pytest
import torch

from traiNNer.losses.wavelet import WaveletLoss, haar

BASIS = np.array([[1, 1], [1, -1]]) / np.sqrt(2)


def pair():
    return torch.rand(2, 2, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def restated(images, levels):
    """Return the details of each level and the last approximation, by outer products of the Haar basis."""
    details = []
    for _ in range(levels):
        batch, channels, height, width = images.shape
        blocks = images.reshape(batch, channels, height // 2, 2, width // 2, 2)
        bands = np.einsum("pi,qj,bchiwj->pqbchw", BASIS, BASIS, blocks)
        details.append(np.stack([bands[0, 1], bands[1, 0], bands[1, 1]]))
        images = bands[0, 0]
    return details, images


@pytest.mark.parametrize("levels", [1, 3])
def test_agrees_with_a_float64_restatement(levels):
    output, target = pair()
    details, rest = restated((output - target).double().numpy(), levels)
    expected = np.mean([np.abs(level).mean() for level in details])
    assert WaveletLoss(levels)(output, target).item() == pytest.approx(expected, rel=1e-5)
    with_rest = expected + 2 * np.abs(rest).mean() / 2**levels
    assert WaveletLoss(levels, 2.0)(output, target).item() == pytest.approx(with_rest, rel=1e-5)


def test_transform_keeps_the_energy():
    images = pair()[0]
    approximation, details = haar(images)
    torch.testing.assert_close(approximation.square().sum() + details.square().sum(), images.square().sum())


def test_odd_sides_and_small_images():
    output, target = pair()
    assert WaveletLoss(2)(output[..., :13, :15], target[..., :13, :15]) > 0
    with pytest.raises(ValueError, match="levels 6 needs images of at least 64 pixels"):
        WaveletLoss(6)(output, target)
