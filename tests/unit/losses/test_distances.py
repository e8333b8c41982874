import numpy as np
import pytest
import torch

from traiNNer.losses.distances import distance, frames, rounded

RESTATED = {"l1": np.abs, "l2": np.square, "charbonnier": lambda d: np.sqrt(d**2 + 1e-12) - 1e-6}


@pytest.mark.parametrize("criterion", RESTATED)
@pytest.mark.parametrize("size", [1.0, 1e-5])
def test_agrees_with_float64(criterion, size):
    generator = torch.Generator().manual_seed(0)
    found, wanted = size * torch.randn(2, 50, generator=generator)
    expected = RESTATED[criterion](found.double().numpy() - wanted.double().numpy())
    assert distance(criterion)(found, wanted).item() == pytest.approx(expected.mean(), rel=1e-5)
    np.testing.assert_allclose(rounded(found - wanted, criterion), expected, rtol=2e-5, atol=1e-13)


def test_frames_keep_their_order():
    clips = torch.arange(2 * 3 * 3 * 4 * 5).view(2, 3, 3, 4, 5)
    assert frames(clips).dtype is torch.float32
    assert torch.equal(frames(clips), torch.cat([clips[0], clips[1]]).float())
    assert torch.equal(frames(clips[0]), clips[0].float())
