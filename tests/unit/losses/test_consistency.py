import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from traiNNer.losses.color_spaces import oklab
from traiNNer.losses.consistency import ConsistencyLoss


def pair():
    return torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_agrees_with_scipys_blur():
    output, target = pair()
    small = [
        oklab(torch.from_numpy(gaussian_filter(x.double().numpy(), (0, 0, 2, 2), mode="nearest", truncate=3)).float())
        for x in (output, target)
    ]
    difference = (small[0] - small[1]).abs().double().numpy()
    light, color = difference[:, 0].mean(), difference[:, 1:].mean()
    assert ConsistencyLoss(criterion="l1")(output, target).item() == pytest.approx(light + color, rel=1e-3)
    weighted = ConsistencyLoss(luma_weight=0.0, chroma_weight=3.0, criterion="l1")
    assert weighted(output, target).item() == pytest.approx(3 * color, rel=1e-3)
    assert light != pytest.approx(color, rel=0.1)


def test_detail_is_free_and_drift_is_not():
    target = torch.full((1, 3, 32, 32), 0.5)
    checkers = 0.02 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2 - 1)
    loss = ConsistencyLoss()
    assert loss(target + checkers, target).item() < 0.02 * loss(target + 0.02, target).item()
    assert np.isfinite(ConsistencyLoss(blur_sigma=0.0)(target + checkers, target).item())


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="both 0: leave the loss out"):
        ConsistencyLoss(luma_weight=0.0, chroma_weight=0.0)
