"""Half precision, channels_last, TF32 and the compiler train what float32 trains."""

import statistics
from functools import partial

import pytest
import torch
from enginekit import options_of

from benchmarks.gpu.training import images, losses, training_of
from traiNNer.engine.control.knobs import MICRO_BATCH
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.models.protocol import MAIN

pytestmark = pytest.mark.filterwarnings("default")
COMPACT = {"arch": "compact", "num_feat": 16, "num_conv": 3}
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def weights(training):
    return [parameter.detach().clone() for parameter in training.learners[MAIN].network.parameters()]


@pytest.mark.parametrize("name", HALF)
def test_half_precision_trains_like_float32(device, name):
    """Compact: the first steps of ParagonSR2 are chaotic, and 1e-4 on its weights moves a loss by a tenth."""
    steps = 50 if device.type == "cuda" else 12
    plain = losses(training_of(device, COMPACT), steps)
    half = losses(training_of(device, COMPACT, half=HALF[name]), steps)
    assert sum(plain[-4:]) < sum(plain[:4])
    assert half != plain
    assert max(abs(a - b) / a for a, b in zip(plain, half, strict=True)) < 0.05
    assert statistics.mean(half[-8:]) == pytest.approx(statistics.mean(plain[-8:]), rel=0.02)


def test_scaler_skips_an_overflow_and_goes_on(device):
    training = training_of(device, half=torch.float16)
    losses(training, 1)
    scaler, optimizer, before = training.runtime.scaler, training.learners[MAIN].optimizer, weights(training)
    moments = [state["exp_avg"].clone() for state in optimizer.state.values()]
    scaler.update(2.0**100)
    report = training.advance([images(8, 16)])
    assert not bool(report.main.applied)
    assert all(map(torch.equal, before, weights(training)))
    assert all(map(torch.equal, moments, (state["exp_avg"] for state in optimizer.state.values())))
    assert scaler.get_scale() == 2.0**99
    scaler.update(2.0**10)
    assert bool(training.advance([images(8, 16)]).main.applied)
    assert not all(map(torch.equal, before, weights(training)))


@pytest.mark.parametrize("half", [None, *HALF.values()])
def test_accumulated_micro_batches_have_the_gradient_of_the_whole(device, half):
    whole, parts = training_of(device, half=half), training_of(device, half=half)
    parts.stepper.knobs[MICRO_BATCH].set(3, 0)
    batch = images(8, 16)
    one, several = whole.advance([batch]).main, parts.advance([batch]).main
    tolerance = 2e-2 if half else 1e-4
    assert several.terms["l1"].item() == pytest.approx(one.terms["l1"].item(), rel=tolerance)
    assert several.grad_norm.item() == pytest.approx(one.grad_norm.item(), rel=tolerance)
    assert torch.isfinite(several.grad_norm)


def test_channels_last_trains_what_the_plain_layout_trains(device):
    plain, last = training_of(device), training_of(device, memory_format=torch.channels_last)
    assert losses(last, 8) == pytest.approx(losses(plain, 8), rel=1e-3)
    learner = last.learners[MAIN]
    for parameter, state in learner.optimizer.state.items():
        assert state["exp_avg"].stride() == parameter.stride()
    assert any(not parameter.is_contiguous() for parameter in learner.parameters)


@pytest.mark.gpu
def test_tf32_is_used_when_asked_for_and_only_then(cuda):
    torch.manual_seed(0)
    a, b = (torch.randn(1024, 1024, device=cuda) for _ in range(2))
    image, kernel = torch.randn(1, 256, 64, 64, device=cuda), torch.randn(256, 256, 3, 3, device=cuda)
    convolved = partial(torch.nn.functional.conv2d, padding=1)
    exact = a.double() @ b.double(), convolved(image.double(), kernel.double())

    def errors(fast):
        start_runtime(options_of(num_gpu=1, fast_matmul=fast))
        found = a @ b, convolved(image, kernel)
        return [((x - y).norm() / y.norm()).item() for x, y in zip(found, exact, strict=True)]

    try:
        assert max(errors(fast=False)) < 1e-5
        assert min(errors(fast=True)) > 1e-5
        assert max(errors(fast=True)) < 1e-2
    finally:
        start_runtime(options_of(num_gpu=1, fast_matmul=False))


def compiled_frames():
    return torch._dynamo.utils.counters["frames"]["ok"]


def test_compiled_training_and_six_validation_sizes_recompile_at_most_twice(device, monkeypatch):
    if device.type == "cpu":  # the tracer decides what is compiled anew; no compiler is needed for that
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    training = training_of(device, use_compile=True)
    network = training.learners[MAIN].shipped
    upscale, sizes = training.runtime.upscaler(network), [(20, 24), (24, 20), (28, 28), (32, 20), (36, 44), (40, 24)]

    def validate(height, width):
        with training.runtime.inference_with_saved_rng():
            lq = torch.rand(1, 3, height, width, device=device)
            return upscale(lq), network(lq)

    losses(training, 3)
    trained = compiled_frames()
    validate(*sizes[0])
    first = compiled_frames()
    for size in sizes[1:]:
        found, expected = validate(*size)
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)
        losses(training, 2)
    assert trained >= 1
    assert first > trained
    assert compiled_frames() - first <= 2
