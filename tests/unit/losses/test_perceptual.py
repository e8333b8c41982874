import random
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from traiNNer.errors import ConfigError
from traiNNer.losses.perceptual import ConvLayer, PerceptualLoss, VggLayer, gram
from traiNNer.losses.vgg import BEFORE, LAYERS, Vgg19Features, random_state
from traiNNer.losses.vgg_weights import vgg19_features
from traiNNer.registry import LOSSES

SHALLOW = ("relu1_2", "relu2_1")


@pytest.fixture
def weights(tmp_path):
    generator = torch.Generator().manual_seed(3)
    state = {name: torch.randn(value.shape, generator=generator) * 0.1 for name, value in random_state(SHALLOW).items()}
    state["classifier.0.weight"] = torch.zeros(2)
    torch.save(state, tmp_path / "vgg19.pth")
    return tmp_path / "vgg19.pth"


def pair(side=24):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, side, side, generator=generator), torch.rand(2, 3, side, side, generator=generator)


def random_loss(**options):
    with pytest.warns(UserWarning, match="random features"):
        return PerceptualLoss(pretrained=False, **options)


def test_features_are_those_of_torchvision():
    from torchvision.models.vgg import cfgs, make_layers
    from torchvision.transforms.functional import normalize

    state = random_state(("relu5_4",))
    reference = make_layers(cfgs["E"])
    reference.load_state_dict({name.removeprefix("features."): value for name, value in state.items()})
    images = pair(32)[0]
    activations = [normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    with torch.no_grad():
        for layer in reference:
            # A copy, because torchvision's rectifiers work in place.
            activations.append(layer(activations[-1].clone()))
    places = {"relu5_4": 36, "relu1_1": 2, "relu2_2": 9, "relu3_4": 18, "relu4_1": 21, "conv2_2": 8, "conv1_1": 1}
    for found, place in zip(Vgg19Features(tuple(places), state)(images), places.values(), strict=True):
        torch.testing.assert_close(found, activations[place])


def test_layers_after_the_last_used_one_are_dropped():
    assert sum(b.numel() for b in Vgg19Features(("relu1_1",), random_state(LAYERS[-1:])).buffers()) == 64 * 28 + 6


def test_schema_and_network_know_the_same_layers():
    from typing import get_args

    assert get_args(VggLayer) == LAYERS
    assert get_args(ConvLayer) == tuple(BEFORE)


def test_terms_and_weights(weights):
    output, target = pair()
    features = Vgg19Features(SHALLOW, torch.load(weights, weights_only=True))
    pairs = list(zip(features(output), features(target), strict=True))
    content = sum(F.l1_loss(a, b) for a, b in pairs)
    style = sum(
        (torch.einsum("bchw,bdhw->bcd", a, a) - torch.einsum("bchw,bdhw->bcd", b, b)).abs().mean() / a[0].numel()
        for a, b in pairs
    )
    loss = PerceptualLoss(SHALLOW, perceptual_weight=0.5, style_weight=30.0, weights=str(weights))
    torch.testing.assert_close(loss(output, target), 0.5 * content + 30 * style)
    squared = PerceptualLoss(SHALLOW, criterion="l2", weights=str(weights))
    torch.testing.assert_close(squared(output, target), sum(F.mse_loss(a, b) for a, b in pairs))


def test_layer_weights_of_redux(weights):
    output, target = pair()
    factors = {"conv1_2": 0.1, "conv2_1": 1.0}
    features = vgg19_features("test", tuple(factors), pretrained=True, weights=str(weights))
    expected = sum(
        factor * ((found - wanted).square() + 1e-12).sqrt().mean()
        for factor, found, wanted in zip(factors.values(), features(output), features(target), strict=True)
    )
    options = {"layer_weights": factors, "criterion": "charbonnier", "weights": str(weights)}
    torch.testing.assert_close(LOSSES.build("PerceptualLoss", options)(output, target), expected)
    # A layer without a factor is not computed; that of the file ends at conv2_1.
    options["layer_weights"] = factors | {"conv5_4": 0}
    torch.testing.assert_close(LOSSES.build("PerceptualLoss", options)(output, target), expected)
    with pytest.raises(ValueError, match="layer_weights are all 0"):
        PerceptualLoss(layer_weights={"conv1_2": 0.0}, pretrained=False)
    with pytest.raises(ValueError, match="conv3_5"):
        LOSSES["perceptualloss"].options.parse({"layer_weights": {"conv3_5": 1}})


def test_gram_is_symmetric_and_scaled():
    matrix = gram(torch.ones(1, 3, 4, 5))
    torch.testing.assert_close(matrix, torch.full((1, 3, 3), 1 / 3))


def test_gradient_reaches_the_output_only():
    loss = random_loss(layers=SHALLOW, style_weight=1.0)
    output, target = pair()
    output.requires_grad_()
    target.requires_grad_()
    loss(output, target).backward()
    assert output.grad is not None
    assert output.grad.abs().sum() > 0
    assert target.grad is None
    assert not list(loss.parameters())
    assert not any(buffer.requires_grad for buffer in loss.buffers())
    assert not loss.state_dict()


def test_half_precision_images_are_converted_to_float32():
    loss = random_loss(layers=SHALLOW)
    output, target = pair()
    value = loss(output.bfloat16(), target)
    assert value.dtype is torch.float32
    torch.testing.assert_close(value, loss(output.bfloat16().float(), target))


def test_random_features_are_repeatable_and_do_not_touch_the_rng():
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    first = random_loss(layers=SHALLOW)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])
    torch.manual_seed(1234)
    assert torch.equal(first(*pair()), random_loss(layers=SHALLOW)(*pair()))


@pytest.mark.parametrize("prefix", ["features.", ""])
def test_weights_in_both_formats_and_namings(tmp_path, weights, prefix):
    state = torch.load(weights, weights_only=True)
    renamed = {name.replace("features.", prefix): value for name, value in state.items()}
    save_file(renamed, tmp_path / "w.safetensors")
    loss = PerceptualLoss(SHALLOW, weights=str(tmp_path / "w.safetensors"))
    assert torch.equal(loss(*pair()), PerceptualLoss(SHALLOW, weights=str(weights))(*pair()))


def test_weights_of_another_network_are_refused(weights):
    with pytest.raises(ConfigError, match=r"does not fit.*features\.7\.weight"):
        PerceptualLoss(("relu2_2",), weights=str(weights))
    state = torch.load(weights, weights_only=True)
    state["features.2.weight"] = torch.zeros(64, 32, 3, 3)
    torch.save(state, weights)
    with pytest.raises(ConfigError, match=r"\(64, 32, 3, 3\), VGG19 needs \(64, 64, 3, 3\)"):
        PerceptualLoss(SHALLOW, weights=str(weights))


def test_pretrained_comes_from_torchs_cache(tmp_path, monkeypatch, weights):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    weights.rename(tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth")
    assert PerceptualLoss(SHALLOW)(*pair()) > 0


def test_offline_without_the_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise URLError("offline")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", fail)
    with pytest.raises(ConfigError) as caught:
        PerceptualLoss()
    assert caught.value.exit_code == 2
    assert all(
        text in str(caught.value) for text in ("vgg19-dcbb9e9d.pth", str(tmp_path / "checkpoints"), "weights: path")
    )


def test_impossible_options():
    with pytest.raises(ValueError, match=r"no layer 'relu3_5'; known: relu1_1.*relu5_4, conv1_1.*conv5_4"):
        PerceptualLoss(("relu3_5",), pretrained=False)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="relu3_5"):
        LOSSES["perceptualloss"].options.parse({"layers": ["relu3_5"]})
    with pytest.raises(ValueError, match="both 0"):
        PerceptualLoss(perceptual_weight=0.0)
    with pytest.raises(ConfigError, match="remove one"):
        PerceptualLoss(pretrained=False, weights="x.pth")


def test_images_too_small_for_the_deepest_layer():
    with pytest.raises(ValueError, match="at least 4 pixels"):
        random_loss(layers=("relu3_1",))(*pair(3))
