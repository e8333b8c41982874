"""Preflight checks with networks, losses and metrics that violate their contracts."""

import numpy as np
import pytest
import torch
from torch import nn

from traiNNer.batch import ImageSet, Sample
from traiNNer.errors import ConfigError, DataError
from traiNNer.registry import ARCHS, LOSSES, METRICS
from traiNNer.run.preflight import check_losses, check_metrics, check_network, crop_side


class Set(ImageSet):
    """A dataset of one size that is never read."""

    def __init__(self, crop=None, smallest=None, has_gt=True) -> None:
        self.crop_size, self.smallest, self.has_gt = crop, smallest, has_gt

    def __len__(self):
        return 1

    def sample(self, index, rng) -> Sample:
        raise NotImplementedError

    whole = fingerprint = sample

    def smallest_output(self):
        return self.smallest


class Nearest(nn.Module):
    """Upscales by 2; records its inputs."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        shapes.append((tuple(x.shape), self.training))
        return self.norm(x).repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3)


shapes: list = []


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    shapes.clear()
    for registry in (ARCHS, LOSSES, METRICS):
        assert list(registry)
        monkeypatch.setattr(registry, "_components", dict(registry._components))


def test_training_crop_and_smallest_images_pass_the_preflight(loaded):
    options = loaded().options
    check_network(Nearest(), options, {"train": Set(12), "val": Set(smallest=(40, 60)), "val_2": Set()})
    assert shapes == [((2, 3, 12, 12), True), ((1, 3, 20, 30), False), ((1, 3, 32, 32), False)]


def test_large_images_are_replaced_by_ones_of_the_same_remainder(loaded):
    check_network(Nearest(), loaded().options, {"val": Set(smallest=(2 * 1001, 2 * 127))})
    ((shape, _),) = shapes
    assert shape == (1, 3, 64 + 1001 % 64, 127)


def test_network_and_rng_of_the_run_are_not_touched(loaded):
    network = Nearest().train()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check_network(network, loaded().options, {"train": Set(12)})
    assert torch.equal(torch.rand(2), expected)
    assert network.norm.num_batches_tracked == 0
    assert network.training


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Nearest(3), r"paragonsr2 makes 3x images, `scale` says 2"),
        (lambda: nn.Linear(5, 5), r"paragonsr2 cannot process 12 x 12 crops: RuntimeError: .*line \d+"),
        (lambda: Returning(["no tensor"]), r"paragonsr2 must return a tensor, not list"),
    ],
)
def test_network_contract_violation_is_reported(loaded, make, words):
    with pytest.raises(ConfigError, match=words):
        check_network(make(), loaded().options, {"train": Set(12)})


class Returning(nn.Module):
    def __init__(self, value) -> None:
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value


def test_warnings_of_an_untrained_network_are_not_reported(loaded, recwarn):
    class Warner(Nearest):
        def forward(self, x):
            import warnings

            warnings.warn("nothing was tracked yet", stacklevel=2)
            return super().forward(x)

    check_network(Warner(), loaded().options, {"train": Set(12)})
    assert not recwarn.list


def test_crop_comes_from_the_dataset_or_a_fitting_default(loaded):
    ARCHS.register(Nearest, name="Particular", size_multiple=20)
    options = loaded("network_g={type: Particular}", "datasets.train.lq_size=40").options
    assert crop_side(options, Set(12)) == 12
    assert crop_side(options, Set()) == 40
    assert crop_side(loaded().options, Set()) == 32


def loss(body):
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()

        def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return body(output, target)

    LOSSES.register(Own, name="OwnLoss")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda output, target: (output.detach() - target).mean(), ": its value has no gradient for the output"),
        (lambda output, target: {}["a"], r" cannot be used: KeyError: 'a'"),
    ],
)
def test_loss_contract_violation_is_reported_with_its_location(loaded, body, words):
    loss(body)
    options = loaded("train.losses=[{type: L1Loss}, {type: OwnLoss}]").options
    with pytest.raises(ConfigError, match=rf"train\.losses\[1\] OwnLoss{words}"):
        check_losses(options, Set(12))


def test_losses_are_tried_at_the_size_of_the_crops(loaded):
    seen = []
    loss(lambda output, target: seen.append((output.shape, target.shape)) or (output - target).mean())
    check_losses(loaded("train.losses=[{type: OwnLoss}]").options, Set(12))
    assert seen == [((2, 3, 24, 24), (2, 3, 24, 24))]


def metric(value, needs_target=True):
    class Own:
        direction = "higher"

        def __init__(self) -> None: ...

        def __call__(self, output: np.ndarray, target: np.ndarray) -> float:
            shapes.append(output.shape)
            return value(output, target)

    Own.needs_target = needs_target
    METRICS.register(Own, name="Own")


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (lambda *_: "high", ConfigError, "metric own must return one number, not str"),
        (lambda *_: {}["a"], ConfigError, r"metric own: KeyError: 'a' \(named_call\.py line \d+\)"),
        (lambda *_: int("x"), DataError, r"datasets\.val: own cannot be computed for its smallest image"),
    ],
)
def test_metric_contract_violation_is_reported(loaded, value, kind, words):
    metric(value)
    with pytest.raises(kind, match=words):
        check_metrics(loaded("val.metrics={own: {}}").options, {"val": Set()})


def test_metrics_are_tried_on_the_smallest_evaluation_images(loaded):
    metric(lambda *_: 1.0)
    sets = {"train": Set(12), "val": Set(smallest=(30, 40)), "val_2": Set()}
    assert check_metrics(loaded("val.metrics={own: {}}").options, sets) == []
    assert shapes == [(30, 40, 3), (64, 64, 3)]


def test_unscorable_or_inverted_metrics_are_warnings(loaded):
    options = loaded("val.metrics.psnr.better=lower").options
    assert check_metrics(options, {"val": Set(has_gt=False)}) == [
        "val.metrics.psnr: better is 'lower', but of psnr higher is better",
        "datasets.val has no ground truth: psnr, ssim cannot be computed",
    ]
