import math

import numpy as np
import pytest
import torch
from enginekit import stepper_of
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from traiNNer.batch import Batch
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.engine.window import NonfiniteWatch, Window
from traiNNer.errors import ConfigError
from traiNNer.models.protocol import MAIN, PhaseLoss
from traiNNer.optim.optimizers import build_optimizer


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.norm = nn.BatchNorm2d(12)

    def forward(self, lq):
        return nn.functional.pixel_shuffle(self.norm(self.conv(lq)), 2)


def batch(size: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    lq = torch.from_numpy(rng.integers(0, 256, (size, 8, 8, 3), np.uint8))
    gt = torch.from_numpy(rng.integers(0, 256, (size, 16, 16, 3), np.uint8))
    return Batch(lq, gt, tuple(f"{seed}/{i}" for i in range(size)))


def make(poison: float | None = None, max_norm: float | None = None, norm: bool = True, fused: bool = True):
    torch.manual_seed(0)
    net = Net() if norm else nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2, fused=fused)
    runtime = Runtime(torch.device("cpu"), "test")
    switch = {"on": False}

    def losses(output, target, **_):
        terms = {"l1": (output - target).abs().mean()}
        if switch["on"]:
            terms["bad"] = output.mean() * poison
        return terms

    return net, stepper_of(net, losses, optimizer, Knobs(max_norm or math.inf), runtime), switch


def snapshot(net, stepper):
    moments = [v.clone() for s in stepper.learners[MAIN].optimizer.state.values() for v in s.values()]
    return [t.clone() for t in net.state_dict().values()] + moments


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("device_decides", [False, True])
def test_nonfinite_step_changes_nothing(poison, device_decides, monkeypatch):
    monkeypatch.setattr(Runtime, "reads_are_free", property(lambda self: not device_decides))
    net, stepper, switch = make(poison)
    assert bool(stepper.step([batch(2)]).finite)
    before = snapshot(net, stepper)
    switch["on"] = True
    report = stepper.step([batch(2, 1)])
    assert not bool(report.finite)
    after = snapshot(net, stepper)
    assert len(before) == len(after)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    switch["on"] = False
    assert bool(stepper.step([batch(2, 2)]).finite)
    assert not all(torch.equal(a, b) for a, b in zip(before, snapshot(net, stepper), strict=True))


def test_device_decision_equals_the_host_decision(monkeypatch):
    results = []
    for free in (True, False):
        monkeypatch.setattr(Runtime, "reads_are_free", property(lambda self, free=free: free))
        net, stepper, _ = make()
        for seed in range(3):
            stepper.step([batch(2, seed)])
        results.append(snapshot(net, stepper))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_accumulated_micro_batches_equal_one_large_batch():
    whole = batch(4)
    parts = [Batch(whole.lq[i : i + 2], whole.gt[i : i + 2], whole.keys[i : i + 2]) for i in (0, 2)]
    nets = []
    for batches in ([whole], parts):
        net, stepper, _ = make(norm=False)
        reports = [stepper.step(batches) for _ in range(3)]
        nets.append((net, reports[-1]))
    for a, b in zip(nets[0][0].parameters(), nets[1][0].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(nets[0][1].main.terms["l1"], nets[1][1].main.terms["l1"])
    torch.testing.assert_close(nets[0][1].main.grad_norm, nets[1][1].main.grad_norm, rtol=1e-4, atol=1e-6)


def test_clipping_limits_the_norm_that_reaches_the_optimizer():
    net, stepper, _ = make(max_norm=1e-3)
    report = stepper.step([batch(2)])
    clipped = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in net.parameters()]))
    assert report.main.grad_norm > 1e-2
    assert clipped == pytest.approx(1e-3, rel=1e-3)


def test_optimizer_without_a_device_decision_decides_on_the_host(monkeypatch):
    monkeypatch.setattr(Runtime, "reads_are_free", property(lambda self: False))
    net, stepper, switch = make(math.nan, fused=False)
    stepper.step([batch(2)])
    before = snapshot(net, stepper)
    switch["on"] = True
    stepper.step([batch(2, 1)])
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(net, stepper), strict=True))


def half_precision(net, losses, optimizer="AdamW"):
    runtime = Runtime(torch.device("cpu"), "test", half=torch.float16)
    optimizer = build_optimizer(optimizer, {"lr": 1e-2, "weight_decay": 0.1}, net.parameters())
    return stepper_of(net, losses, optimizer, runtime=runtime)


@pytest.mark.parametrize("optimizer", ["AdamW", "Muon"])
@pytest.mark.parametrize("device_decides", [False, True])
def test_infinite_loss_with_finite_gradients_is_skipped_with_a_scaler(device_decides, optimizer, monkeypatch):
    # An overflow in the last layer: the loss is infinite, but an L1 gradient is a sign, which is finite.
    monkeypatch.setattr(Runtime, "reads_are_free", property(lambda self: not device_decides))
    torch.manual_seed(0)
    net, offset = Net(), {"value": 0.0}

    def losses(output, target, **_):
        return {"l1": (output - target).abs().mean() + offset["value"]}

    stepper = half_precision(net, losses, optimizer)
    assert bool(stepper.step([batch(2)]).finite)
    before = snapshot(net, stepper)
    offset["value"] = math.inf
    assert not bool(stepper.step([batch(2, 1)]).finite)
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(net, stepper), strict=True))
    offset["value"] = 0.0
    assert bool(stepper.step([batch(2, 2)]).finite)
    assert not all(torch.equal(a, b) for a, b in zip(before, snapshot(net, stepper), strict=True))


@pytest.mark.parametrize("optimizer", ["AdamW", "Muon"])
@pytest.mark.parametrize("device_decides", [False, True])
def test_fp16_overflow_halves_the_scale_and_skips(device_decides, optimizer, monkeypatch):
    monkeypatch.setattr(Runtime, "reads_are_free", property(lambda self: not device_decides))
    torch.manual_seed(0)
    net, factor = Net(), {"value": 1.0}

    def losses(output, target, **_):
        return {"l1": (output - target).abs().mean() * factor["value"]}

    stepper = half_precision(net, losses, optimizer)
    stepper.runtime.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert bool(stepper.step([batch(2)]).finite)
    before, scale = snapshot(net, stepper), stepper.runtime.scaler.get_scale()
    factor["value"] = 1e36
    assert not bool(stepper.step([batch(2)]).finite)
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(net, stepper), strict=True))
    assert stepper.runtime.scaler.get_scale() == scale / 2
    factor["value"] = 1.0
    while not bool(stepper.step([batch(2)]).finite):
        pass
    assert stepper.runtime.scaler.get_scale() >= 1


class Reads(TorchDispatchMode):
    """Counts host reads of a value: each would synchronize with an accelerator."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_iteration_does_not_sync_with_the_device(monkeypatch):
    monkeypatch.setattr(Runtime, "reads_are_free", property(lambda self: False))
    net, stepper, _ = make(max_norm=1.0)
    average, window, watch = (
        WeightAverage(net, 0.999),
        Window(torch.device("cpu")),
        NonfiniteWatch(limit=10, inspect_every=10),
    )
    stepper.step([batch(2), batch(2, 1)])
    lists = []
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self, real=torch.Tensor.tolist: lists.append(1) or real(self))
    with Reads() as reads:
        for iteration in range(1, 10):
            report = stepper.step([batch(2, iteration), batch(2, iteration + 100)])
            average.update(iteration, report.finite)
            window.add(report)
            watch.add(iteration, report, ("a",))
    assert (reads.count, lists) == (0, [])
    with Reads() as reads:
        watch.flush()
        window.read()
    assert lists == [1, 1]  # one for the flags, one for the means: the price of a log line
    with Reads() as reads:
        bool(report.finite)
    assert reads.count == 1  # the counter works


def test_total_of_a_phase_is_the_sum_of_its_terms():
    phase = PhaseLoss({"a": torch.tensor(1.5), "b": torch.tensor(2.0)})
    assert phase.total() == 3.5


def test_model_without_phase_is_refused():
    _, stepper, _ = make()
    stepper.model.phases = lambda batch, iteration: iter(())
    with pytest.raises(ConfigError, match="no phase in iteration 7"):
        stepper.step([batch(2)], 7)
