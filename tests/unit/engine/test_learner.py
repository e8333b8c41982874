"""Two networks in one step: separate gradients, clipping and state."""

import math

import numpy as np
import pytest
import torch
from enginekit import learner_of
from torch import nn
from torch.nn.functional import pixel_shuffle, softplus

from traiNNer.batch import Batch
from traiNNer.engine.control.knobs import GRAD_CLIP, LR_FACTOR, MICRO_BATCH, Knobs
from traiNNer.engine.learner import Learner
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.snapshot import Snapshot
from traiNNer.engine.step import Stepper
from traiNNer.errors import ConfigError
from traiNNer.models.protocol import MAIN, PhaseLoss, TrainableModel

OTHER = "net_d"


class DoubleRuntime(Runtime):
    """Computes in float64, so that only the summation order can differ."""

    def to_float(self, images):
        return images.movedim(-1, -3).double().div(255)


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, lq):
        return pixel_shuffle(self.conv(lq), 2)


class Gan(TrainableModel):
    """Counts micro-batches; `only` names the learners with a phase, `faults` the calls that run out of memory."""

    def __init__(self, networks, only=(MAIN, OTHER)) -> None:
        self.generator, self.discriminator = networks[MAIN], networks[OTHER]
        self.only, self.calls, self.seen = only, 0, 0
        self.faults: tuple[int, ...] = ()
        self.factors = {MAIN: 1.0, OTHER: 1.0}

    def phases(self, batch, iteration):
        self.seen += 1
        output = self.generator(batch.lq)
        if MAIN in self.only:
            terms = {"l1": (output - batch.gt).abs().mean(), "gan": softplus(-self.discriminator(output)).mean()}
            yield PhaseLoss({name: term * self.factors[MAIN] for name, term in terms.items()})
        self.calls += 1
        if self.calls in self.faults:
            raise torch.OutOfMemoryError("out of memory (injected)")
        if OTHER in self.only:
            real, fake = self.discriminator(batch.gt), self.discriminator(output.detach())
            yield PhaseLoss({"d": (softplus(-real) + softplus(fake)).mean() * self.factors[OTHER]}, OTHER)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def batch(size: int = 4, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    lq = torch.from_numpy(rng.integers(0, 256, (size, 6, 6, 3), np.uint8))
    gt = torch.from_numpy(rng.integers(0, 256, (size, 12, 12, 3), np.uint8))
    return Batch(lq, gt, tuple(f"{seed}/{i}" for i in range(size)))


def planes(images):
    return images.movedim(-1, -3).float().div(255).contiguous()


def networks_of(norm: bool = False) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, 2, 1), *([nn.BatchNorm2d(4)] if norm else []), nn.LeakyReLU(0.2)]
    return {MAIN: Generator(), OTHER: nn.Sequential(*layers, nn.Conv2d(4, 1, 3))}


def make(runtime: Runtime | None = None, only=(MAIN, OTHER), norm=False, retries=False, kind=torch.optim.Adam, lr=1e-2):
    """Return a stepper with two learners, as a run builds them."""
    runtime = runtime or Runtime(torch.device("cpu"), "test")
    networks = networks_of(norm)
    if isinstance(runtime, DoubleRuntime):
        networks = {name: network.double() for name, network in networks.items()}
    knobs = Knobs(batch_size=4, prefixes=("", f"{OTHER}."))
    learners = {name: learner_of(net, kind(net.parameters(), lr), knobs, 0.9, name) for name, net in networks.items()}
    model = Gan({name: runtime.upscaler(network) for name, network in networks.items()}, only)

    def halve() -> bool:
        before = knobs[MICRO_BATCH].value
        knobs[MICRO_BATCH].set(math.ceil(before / 2), 0)
        return knobs[MICRO_BATCH].value < before

    return Stepper(model, learners, runtime, knobs, on_out_of_memory=halve if retries else None)


def bits(stepper) -> list[torch.Tensor]:
    """Return copies of weights, buffers, and moments of both learners."""
    found = []
    for learner in stepper.learners.values():
        found += [tensor.clone() for tensor in learner.network.state_dict().values()]
        found += [value.clone() for moments in learner.optimizer.state.values() for value in moments.values()]
    return found


def same(one, other) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_phase_gradient_reaches_only_its_learner():
    stepper, networks, data = make(), networks_of(), batch()
    stepper.step([data])
    lq, gt = (planes(images) for images in (data.lq, data.gt))
    output = networks[MAIN](lq)
    main = (output - gt).abs().mean() + softplus(-networks[OTHER](output)).mean()
    real, fake = networks[OTHER](gt), networks[OTHER](output.detach())
    totals = {MAIN: main, OTHER: (softplus(-real) + softplus(fake)).mean()}
    for name, total in totals.items():
        expected = torch.autograd.grad(total, list(networks[name].parameters()), retain_graph=True)
        found = stepper.learners[name].gradients()
        assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-8) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("only", "paused"), [((MAIN,), OTHER), ((OTHER,), MAIN)])
def test_learner_without_a_phase_is_unchanged(only, paused):
    stepper = make(only=only)
    before = {name: [p.detach().clone() for p in item.parameters] for name, item in stepper.learners.items()}
    report = stepper.step([batch()])
    assert list(report.updates) == list(only)
    assert (report.main is None) == (paused == MAIN)
    for name, learner in stepper.learners.items():
        assert same(before[name], learner.parameters) == (name == paused)
    assert stepper.learners[paused].gradients() == []


def test_step_without_a_phase_is_a_model_error():
    with pytest.raises(ConfigError, match="gave no phase in iteration 1"):
        make(only=()).step([batch()])


def overflowing(only_in: str):
    stepper = make(Runtime(torch.device("cpu"), "test", half=torch.float16))
    stepper.model.factors[only_in] = 1e30
    return stepper


@pytest.mark.parametrize("name", [MAIN, OTHER])
def test_fp16_overflow_skips_both_learners_and_halves_the_scale_once(name):
    stepper = overflowing(name)
    before, scale = bits(stepper), stepper.runtime.scaler.get_scale()
    report = stepper.step([batch()])
    assert not bool(report.finite)
    assert [bool(update.applied) for update in report.updates.values()] == [False, False]
    assert same(before, bits(stepper))
    assert stepper.runtime.scaler.get_scale() == scale / 2


def test_two_fp16_learners_equal_a_plain_loop_with_one_scaler():
    runtime = Runtime(torch.device("cpu"), "test", half=torch.float16)
    stepper, networks = make(runtime), networks_of()
    optimizers = {name: torch.optim.Adam(network.parameters(), 1e-2) for name, network in networks.items()}
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    runtime.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    for seed in range(4):
        data = batch(seed=seed)
        stepper.step([data])
        lq, gt = (planes(images) for images in (data.lq, data.gt))
        call = {name: runtime.upscaler(network) for name, network in networks.items()}
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        output = call[MAIN](lq)
        main = (output - gt).abs().mean() + softplus(-call[OTHER](output)).mean()
        scaler.scale(main).backward(inputs=list(networks[MAIN].parameters()))
        other = (softplus(-call[OTHER](gt)) + softplus(call[OTHER](output.detach()))).mean()
        scaler.scale(other).backward(inputs=list(networks[OTHER].parameters()))
        for optimizer in optimizers.values():
            scaler.step(optimizer)
        scaler.update()
        assert runtime.scaler.get_scale() == scaler.get_scale()
    assert scaler.get_scale() == 4096.0
    expected = [tensor for network in networks.values() for tensor in network.state_dict().values()]
    found = [tensor for item in stepper.learners.values() for tensor in item.network.state_dict().values()]
    assert same(found, expected)


def test_retried_micro_batch_step_equals_a_full_step():
    results = []
    for faults in ((), (1, 5)):
        stepper = make(DoubleRuntime(torch.device("cpu"), "test"), retries=True)
        stepper.model.faults = faults
        for seed in range(4):
            stepper.knobs[MICRO_BATCH].set(4, 0)
            stepper.step([batch(seed=seed)])
        results.append((bits(stepper), stepper.model.seen, stepper.model.calls))
    (clean, seen, _), (again, seen_again, calls) = results
    assert all((a - b).abs().max() < 1e-12 for a, b in zip(clean, again, strict=True))
    assert seen == 4
    # Two steps were retried in two micro-batches; counts of the failed attempts are discarded.
    assert (seen_again, calls) == (6, 8)


def test_running_statistics_of_a_skipped_learner_are_restored():
    stepper = make(norm=True)
    stepper.step([batch()])
    before = bits(stepper)
    stepper.model.factors[MAIN] = math.nan
    stepper.step([batch(seed=1)])
    assert same(before, bits(stepper))
    stepper.model.factors[MAIN] = 1.0
    stepper.step([batch(seed=1)])
    statistics = stepper.learners[OTHER].network[1]
    assert int(statistics.num_batches_tracked) == 6  # three forward passes in each of the two successful steps


def test_snapshot_holds_both_learners_and_the_model():
    stepper = make(norm=True)
    snapshot = Snapshot(stepper.learners, stepper.model)
    stepper.step([batch()])
    snapshot.take()
    kept = bits(stepper)
    stepper.step([batch(seed=1)])
    assert not same(kept, bits(stepper))
    assert snapshot.restore()
    assert same(kept, bits(stepper))
    assert stepper.model.seen == 1


def test_knobs_of_one_learner_do_not_affect_the_other():
    stepper = make(kind=torch.optim.SGD, lr=1.0)
    stepper.knobs[f"{OTHER}.{LR_FACTOR}"].set(0.25, 0)
    stepper.knobs[f"{OTHER}.{GRAD_CLIP}"].set(1e-3, 0)
    before = [parameter.detach().clone() for parameter in stepper.learners[OTHER].parameters]
    for learner in stepper.learners.values():
        learner.apply_learning_rate(0)
    rates = {name: learner.optimizer.param_groups[0]["lr"] for name, learner in stepper.learners.items()}
    assert rates == {MAIN: 1.0, OTHER: 0.25}
    assert stepper.learners[OTHER].learning_rate(0) == 0.25
    report = stepper.step([batch()])
    moved = [(a - b).flatten() for a, b in zip(before, stepper.learners[OTHER].parameters, strict=True)]
    assert torch.cat(moved).norm().item() == pytest.approx(0.25e-3, rel=1e-3)
    norms = torch.stack([gradient.norm() for gradient in stepper.learners[MAIN].gradients()]).norm()
    assert norms.item() == pytest.approx(report.main.grad_norm.item(), rel=1e-5)


def test_one_learner_equals_a_plain_loop_bitwise():
    network, plain = networks_of()[MAIN], networks_of()[MAIN]
    runtime, knobs = Runtime(torch.device("cpu"), "test"), Knobs(grad_clip=0.1)
    learner = Learner(MAIN, network, torch.optim.AdamW(network.parameters(), 1e-2), lambda i: 0.5**i, knobs)
    other = nn.Identity()
    stepper = Stepper(Gan({MAIN: network, OTHER: other}, (MAIN,)), {MAIN: learner}, runtime, knobs)
    optimizer = torch.optim.AdamW(plain.parameters(), 1e-2)
    for iteration in range(4):
        data = batch(seed=iteration)
        learner.apply_learning_rate(iteration)
        stepper.step([data])
        optimizer.param_groups[0]["lr"] = 1e-2 * 0.5**iteration
        optimizer.zero_grad()
        lq, gt = (planes(images) for images in (data.lq, data.gt))
        output = plain(lq)
        ((output - gt).abs().mean() + softplus(-output).mean()).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
        optimizer.step()
    assert same(list(network.state_dict().values()), list(plain.state_dict().values()))


def test_option_file_hyperparameters_override_recorded_ones():
    one, other = make(lr=1e-2), make(lr=1e-3)
    one.step([batch()])
    for name, learner in other.learners.items():
        learner.load_state_dict(one.learners[name].state_dict())
        assert learner.optimizer.param_groups[0]["lr"] == 1e-3
        assert len(learner.optimizer.state) == len(learner.parameters)


def test_ema_is_exported_if_present():
    learner = make().learners[OTHER]
    assert learner.shipped is learner.average.network
    network = networks_of()[MAIN]
    assert learner_of(network, torch.optim.SGD(network.parameters(), 1.0)).shipped is network
