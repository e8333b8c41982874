import numpy as np
import pytest
import torch

from traiNNer.losses.contextual import ContextualLoss, contextual
from traiNNer.losses.vgg import Vgg19Features, random_state
from traiNNer.registry import LOSSES

LAYERS = ("conv1_2", "relu2_1")


def build(**options):
    with pytest.warns(UserWarning, match="ContextualLoss: pretrained is false"):
        return LOSSES.build("contextualloss", {"pretrained": False, **options})


def pair(side=12):
    return torch.rand(2, 2, 3, side, side, generator=torch.Generator().manual_seed(0))


def restated(found, wanted, kind, band_width):
    """Return the loss of one image from its C, h, w features, position by position."""
    x, y = (maps.double().numpy().reshape(maps.shape[0], -1).T for maps in (found, wanted))
    center = y.mean(0)
    rows = []
    for feature in x:
        if kind == "cosine":
            a, b = feature - center, y - center
            distance = 1 - b @ a / (np.linalg.norm(a) * np.linalg.norm(b, axis=1))
        else:
            distance = np.abs(y - feature).sum(1) if kind == "l1" else np.square(y - feature).sum(1)
        weights = np.exp((1 - distance / (distance.min() + 1e-5)) / band_width)
        rows.append(weights / weights.sum())
    return -np.log(np.stack(rows).max(0).mean())


@pytest.mark.parametrize("kind", ["cosine", "l1", "l2"])
@pytest.mark.parametrize("band_width", [0.5, 0.1])
def test_agrees_with_a_float64_restatement(kind, band_width):
    output, target = pair()
    loss = build(layer_weights={"conv1_2": 2.0, "relu2_1": 0.5}, distance_type=kind, band_width=band_width)
    features = Vgg19Features(LAYERS, random_state(LAYERS))
    layers = zip((2.0, 0.5), features(output), features(target), strict=True)
    expected = sum(
        factor * np.mean([restated(x, y, kind, band_width) for x, y in zip(found, wanted, strict=True)])
        for factor, found, wanted in layers
    )
    assert loss(output, target).item() == pytest.approx(expected, rel=2e-3)


def test_what_is_shifted_is_forgiven():
    distances = torch.ones(1, 4, 4) - torch.eye(4)
    assert contextual(distances[:, [1, 2, 3, 0]], 0.5).item() == pytest.approx(0, abs=1e-6)
    assert contextual(torch.ones(1, 4, 4), 0.5).item() == pytest.approx(np.log(4), abs=1e-5)


def test_large_maps_are_averaged_first():
    loss = build(layer_weights={"conv1_1": 1.0}, max_1d_size=4)
    maps = torch.rand(1, 5, 9, 6, generator=torch.Generator().manual_seed(0))
    points = loss._points(maps)
    assert points.shape == (1, 3 * 2, 5)
    torch.testing.assert_close(points[0, 0], maps[0, :, :3, :3].mean((1, 2)))


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="layer_weights are all 0"):
        ContextualLoss({"conv1_1": 0.0}, pretrained=False)
