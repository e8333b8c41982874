"""A step that runs out of memory is retried in micro-batches, with the same resulting weights."""

import gc
import math
import weakref

import numpy as np
import pytest
import torch
from enginekit import stepper_of
from torch import nn

from traiNNer.batch import Batch
from traiNNer.engine.control.knobs import GRAD_CLIP, GRAD_SKIP, MICRO_BATCH, Knobs
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import split
from traiNNer.models.protocol import MAIN
from traiNNer.models.restoration import RestorationModel


class DoubleRuntime(Runtime):
    """Computes in float64, so that only the summation order can differ."""

    def to_float(self, images):
        return images.permute(0, 3, 1, 2).double().div(255)


class Fault(torch.autograd.Function):
    """Raises in the backward pass."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        raise torch.OutOfMemoryError("CUDA out of memory (injected)")


class Faulty(nn.Module):
    """A network with dropout that runs out of memory on request, once per request."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.orders: list[str] = []
        self.sizes: list[int] = []

    def forward(self, lq):
        self.sizes.append(len(lq))
        order = self.orders.pop(0) if self.orders else ""
        output = nn.functional.pixel_shuffle(self.conv(lq), 2)
        if order == "forward":
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        if order == "unsupported":
            raise RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED")
        if order == "other":
            raise RuntimeError("CUDA error: an illegal memory access")
        return Fault.apply(output) if order == "backward" else output


def batch(size: int = 8, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    lq = torch.from_numpy(rng.integers(0, 256, (size, 6, 6, 3), np.uint8))
    gt = torch.from_numpy(rng.integers(0, 256, (size, 12, 12, 3), np.uint8))
    return Batch(lq, gt, tuple(f"{seed}/{i}" for i in range(size)))


def make(answers: bool = True):
    torch.manual_seed(0)
    net = Faulty().double()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    knobs = Knobs(batch_size=8)

    def halve() -> bool:
        knob = knobs[MICRO_BATCH]
        before = knob.value
        knob.set(math.ceil(before / 2), 0)
        return knob.value < before

    def losses(output, target, **_):
        return {"l1": (output - target).abs().mean()}

    runtime = DoubleRuntime(torch.device("cpu"), "test")
    stepper = stepper_of(net, losses, optimizer, knobs, runtime, halve if answers else None)
    return net, stepper, knobs


def train(orders: dict[int, list[str]], steps: int = 16):
    net, stepper, knobs = make()
    for step in range(steps):
        knobs[MICRO_BATCH].set(8, 0)
        net.orders = list(orders.get(step, []))
        stepper.step([batch(8, step)])
    return net, [parameter.detach().clone() for parameter in net.parameters()]


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_weights_after_retries_equal_those_of_a_run_without(where):
    _, clean = train({})
    net, faulty = train({step: [where] for step in range(0, 16, 3)})
    assert {4} < set(net.sizes)
    for a, b in zip(clean, faulty, strict=True):
        assert (a - b).abs().max() < 1e-12


def test_failure_in_the_second_micro_batch_discards_the_first():
    _, clean = train({}, 1)
    _, faulty = train({0: ["forward", "", "backward"]}, 1)
    for a, b in zip(clean, faulty, strict=True):
        assert (a - b).abs().max() < 1e-12


def test_uneven_micro_batches_are_weighted():
    _, stepper, knobs = make()
    whole = stepper.step([batch(7)])
    _, stepper, knobs = make()
    knobs[MICRO_BATCH].set(3, 0)
    parts = stepper.step([batch(7)])
    assert whole.main.terms["l1"].item() == pytest.approx(parts.main.terms["l1"].item(), abs=1e-14)
    assert whole.main.grad_norm.item() == pytest.approx(parts.main.grad_norm.item(), abs=1e-14)


@pytest.mark.parametrize(
    ("images", "size", "sizes"),
    [(8, 8, [8]), (8, math.inf, [8]), (8, 6, [4, 4]), (8, 3, [2, 3, 3]), (5, 1, [1] * 5), (1, 4, [1])],
)
def test_parts_are_balanced(images, size, sizes):
    parts = split(batch(images), size)
    assert [len(part.keys) for part, _ in parts] == sizes
    assert sum(share for _, share in parts) == pytest.approx(1)
    assert [key for part, _ in parts for key in part.keys] == list(batch(images).keys)
    assert torch.equal(torch.cat([part.lq for part, _ in parts]), batch(images).lq)


def test_without_automation_the_error_propagates():
    net, stepper, _ = make(answers=False)
    net.orders = ["forward"]
    with pytest.raises(torch.OutOfMemoryError, match="injected"):
        stepper.step([batch()])


def test_an_operation_that_cudnn_does_not_know_keeps_its_name_and_the_micro_batch():
    net, stepper, knobs = make()
    net.orders = ["unsupported"]
    with pytest.raises(RuntimeError, match="CUDNN_STATUS_NOT_SUPPORTED"):
        stepper.step([batch()])
    assert knobs[MICRO_BATCH].value == 8
    stepper.runtime.ran_out_of_memory = lambda error: "CUDNN_STATUS" in str(error)  # as while memory is short
    net.orders = ["unsupported"]
    stepper.step([batch()])
    assert knobs[MICRO_BATCH].value == 4


def test_an_update_without_room_is_done_again():
    _, clean = train({}, 3)
    net, stepper, knobs = make()
    optimizer = stepper.learners[MAIN].optimizer
    step, calls = optimizer.step, []

    def faulty():
        calls.append(None)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        step()

    optimizer.step = faulty
    for seed in range(3):
        stepper.step([batch(8, seed)])
    assert len(calls) == 4
    assert knobs[MICRO_BATCH].value == 8
    assert all(torch.equal(a, b) for a, b in zip(clean, net.parameters(), strict=True))


def test_other_errors_are_never_retried():
    net, stepper, _ = make()
    net.orders = ["other"]
    with pytest.raises(RuntimeError, match="illegal memory access"):
        stepper.step([batch()])


def test_stops_when_nothing_smaller_is_left():
    net, stepper, _ = make()
    net.orders = ["forward"] * 20
    said = r"CUDA out of memory \(injected\) \(the micro-batch cannot be made smaller\)"
    with pytest.raises(torch.OutOfMemoryError, match=said):
        stepper.step([batch()])
    assert all(parameter.grad is None for parameter in net.parameters())


def test_failed_attempt_keeps_no_tensor_alive():
    net, stepper, _ = make()
    seen = []
    stepper.on_out_of_memory = lambda: seen.append([ref() for ref in refs]) or False
    refs: list[weakref.ref] = []
    net.conv.register_forward_hook(lambda module, inputs, output: refs.append(weakref.ref(output)))
    net.orders = ["forward"]
    gc.collect()
    with pytest.raises(torch.OutOfMemoryError):
        stepper.step([batch()])
    assert seen == [[None]]


def test_random_numbers_and_statistics_match_one_attempt():
    def run(orders):
        net, stepper, _ = make()
        net.drop, net.norm = nn.Dropout(0.5), nn.BatchNorm2d(3).double()
        stepper._buffers = list(net.buffers())
        inner = net.forward
        net.forward = lambda lq: inner(net.drop(net.norm(lq)))
        net.orders = list(orders)
        # The second attempt is as large as the first: one micro-batch, so that dropout draws the same.
        stepper.on_out_of_memory = lambda: True
        stepper.step([batch()])
        return [t.clone() for t in net.state_dict().values()], torch.get_rng_state()

    torch.manual_seed(1)
    clean, rng = run([])
    torch.manual_seed(1)
    again, rng_again = run(["backward", "forward"])
    assert all(torch.equal(a, b) for a, b in zip(clean, again, strict=True))
    assert torch.equal(rng, rng_again)


def test_exploding_gradient_is_skipped_but_counts_as_finite():
    net, stepper, knobs = make()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    knobs[GRAD_SKIP].set(1e-9, 0)
    report = stepper.step([batch()])
    assert bool(report.finite)
    assert not bool(report.main.applied)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_clip_knob_limits_the_step_taken():
    moved = []
    for limit in (1e-3, 2e-3):
        net, stepper, knobs = make()
        stepper.learners[MAIN].optimizer = torch.optim.SGD(net.parameters(), 1.0)
        knobs[GRAD_CLIP].set(limit, 0)
        before = [parameter.detach().clone() for parameter in net.parameters()]
        stepper.step([batch()])
        moves = [(a - b).flatten() for a, b in zip(before, net.parameters(), strict=True)]
        moved.append(torch.cat(moves).norm().item())
    assert moved == pytest.approx([1e-3, 2e-3], rel=1e-3)


def test_loss_factors_scale_terms_and_measured_norms():
    net, stepper, knobs = make()
    stepper.model = RestorationModel(
        {MAIN: net},
        {},
        lambda output, target, **_: {"l1": (output - target).abs().mean(), "mse": (output - target).square().mean()},
    )
    knobs.update(Knobs(losses=("l1", "mse")))
    knobs[MICRO_BATCH].set(3, 0)
    stepper.learners[MAIN].optimizer = torch.optim.SGD(net.parameters(), 0.0)
    stepper.measuring.is_on = True
    plain = stepper.step([batch()])
    knobs["loss_weight.mse"].set(100.0, 0)
    scaled = stepper.step([batch()])
    assert scaled.main.terms["mse"].item() == pytest.approx(100 * plain.main.terms["mse"].item())
    assert scaled.main.norms["mse"].item() == pytest.approx(100 * plain.main.norms["mse"].item())
    assert scaled.main.norms["l1"].item() == pytest.approx(plain.main.norms["l1"].item())
    stepper.measuring.is_on = False
    assert stepper.step([batch()]).main.norms is None


def test_measured_norms_are_those_of_the_whole_batch():
    net, stepper, knobs = make()
    stepper.learners[MAIN].optimizer = torch.optim.SGD(net.parameters(), 0.0)
    stepper.measuring.is_on = True
    whole = stepper.step([batch()])
    knobs[MICRO_BATCH].set(3, 0)
    parts = stepper.step([batch()])
    assert whole.main.norms["l1"].item() == pytest.approx(whole.main.grad_norm.item(), abs=1e-14)
    assert parts.main.norms["l1"].item() == pytest.approx(whole.main.norms["l1"].item(), abs=1e-14)


def test_out_of_memory_while_measuring_disables_measuring_first():
    net, stepper, knobs = make()
    stepper.measuring.is_on = True
    net.orders = ["backward"]
    report = stepper.step([batch()])
    assert report.main.norms is None
    assert not stepper.measuring.is_on
    assert knobs[MICRO_BATCH].value == 8
    assert net.sizes == [8, 8]


def test_retry_restores_the_model_state():
    net, stepper, _ = make()
    model, seen, phases = stepper.model, {"steps": 0}, stepper.model.phases

    def counted(batch, iteration):
        seen["steps"] += 1
        return phases(batch, iteration)

    model.phases, model.state_dict, model.load_state_dict = counted, lambda: seen, seen.update
    net.orders = ["backward"]
    stepper.step([batch()])
    assert net.sizes == [8, 4, 4]
    assert seen == {"steps": 2}


def test_reference_equals_that_of_the_whole_batch():
    net, stepper, _ = make()
    stepper.reference = lambda part, iteration: part.lq.mean()
    whole = stepper.step([batch()]).reference
    net.orders = ["backward"]
    in_parts = stepper.step([batch()]).reference
    assert whole.item() == pytest.approx(batch().lq.double().div(255).mean().item())
    assert in_parts.item() == pytest.approx(whole.item())
