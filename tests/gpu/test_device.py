"""What happens on the device while a run trains: rewinds, skips, waits, and the choice of the card."""

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.training import images, losses, training_of
from traiNNer.engine.runtime.device import find_device
from traiNNer.engine.runtime.optimizer import step_if
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.models.protocol import MAIN
from traiNNer.utils.lpips_network import random_lpips_network

pytestmark = pytest.mark.filterwarnings("default")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::_local_scalar_dense")


def state(training):
    learner = training.learners[MAIN]
    moments = [value for kept in learner.optimizer.state.values() for value in kept.values()]
    return [t.detach().clone() for t in (*learner.network.state_dict().values(), *learner.average.tensors, *moments)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_rewind_returns_to_the_very_state_of_the_snapshot(device, memory_format):
    training = training_of(device, memory_format=memory_format)
    losses(training, 3)
    before = state(training)
    training.snapshot.take()
    losses(training, 3)
    assert not all(map(torch.equal, before, state(training)))
    assert training.snapshot.restore()
    after = state(training)
    assert all(map(torch.equal, before, after))
    assert all(a.device == b.device for a, b in zip(before, after, strict=True))
    for parameter, moments in training.learners[MAIN].optimizer.state.items():
        assert moments["exp_avg"].stride() == parameter.stride()


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "muon"])
def test_an_update_that_the_device_skips_changes_nothing(device, optimizer):
    training = training_of(device, optimizer=optimizer)
    losses(training, 2)
    learner, before = training.learners[MAIN], state(training)
    step_if(torch.tensor(False, device=device), learner.optimizer, read=False)
    assert all(map(torch.equal, before, state(training)))
    step_if(torch.tensor(True, device=device), learner.optimizer, read=False)
    assert not all(map(torch.equal, before, state(training)))


def waits(work):
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with profile(activities=kinds) as seen:
        work()
    events = [event for event in seen.events() or () if event.name in WAITS]
    return [names for names in map(callers, events) if not any("_fused_" in name for name in names)]


def callers(event):
    """Return the names of an event and of what it is part of; the CPU's fused kernels read, a card's do not."""
    names = []
    while event:
        names.append(event.name)
        event = event.cpu_parent
    return names


def test_iterations_wait_for_nothing_and_a_window_once(device, monkeypatch):
    monkeypatch.setattr(Runtime, "reads_are_free", property(lambda self: False))  # the CPU does as a card does
    training, batches = training_of(device), [images(8, 16, seed) for seed in range(4)]
    losses(training, 4)
    training.window.read()
    torch.cuda.synchronize() if device.type == "cuda" else None

    def ten():
        for step in range(10):
            training.advance([batches[step % 4]])

    assert len(waits(ten)) <= (device.type == "cuda")  # the profiler's own end, on a card
    assert waits(lambda: training.learners[MAIN].parameters[0].sum().item())
    assert 0 < training.window.read()["loss/l1"] < 1


def test_validation_tries_out_no_algorithms(device):
    training, seen = training_of(device), []
    network = training.learners[MAIN].shipped
    network.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.benchmark))
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        for side in (16, 20, 24, 28, 32, 36):
            with training.runtime.inference_with_saved_rng():
                network(torch.rand(1, 3, side, side, device=device))
        assert torch.backends.cudnn.benchmark
    finally:
        torch.backends.cudnn.benchmark = before
    assert seen == [False] * 6


def test_a_learned_metric_is_the_same_on_every_device(device, monkeypatch):
    from traiNNer.metrics import learned

    monkeypatch.setattr(learned, "_lpips", lambda net, weights: random_lpips_network(net))
    pair = np.random.default_rng(0).integers(0, 256, (2, 72, 80, 3), dtype=np.uint8)
    there, here = learned.LPIPS(scale=2), learned.LPIPS(scale=2)
    Runtime(device, "test").place(there.network)
    assert there(*pair) == pytest.approx(here(*pair), rel=1e-4)
    assert there(*pair) > 0


@pytest.mark.gpu
@pytest.mark.parametrize("rank", [None, "0", "1", "3"])
def test_a_process_that_sees_one_card_takes_it(rank, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    found = find_device()
    assert found.index == int(rank or 0) % torch.cuda.device_count()
    assert torch.zeros(1, device=found.handle).device.index == found.index
