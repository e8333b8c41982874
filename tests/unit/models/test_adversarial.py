from typing import get_args

import pytest
import torch
from enginekit import learner_of
from torch import nn

from traiNNer.batch import Batch
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import Stepper
from traiNNer.errors import ConfigError, DataError
from traiNNer.losses.feature_matching import FeatureMatchingLoss
from traiNNer.losses.gan import GANLoss, GanType
from traiNNer.losses.pixel import L1Loss
from traiNNer.losses.weighted import Span, WeightedLosses
from traiNNer.models.adversarial import AdversarialModel
from traiNNer.models.protocol import MAIN


class Judgment(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        return self.weight * images.mean((1, 2, 3))


def model_of(*extra, spans=None, **options):
    losses = WeightedLosses([("L1Loss", L1Loss(), 1.0), ("GANLoss", GANLoss(), 0.5), *extra], spans)
    generator = nn.Conv2d(3, 3, 1)
    return AdversarialModel({MAIN: generator, "net_d": Judgment()}, {}, losses, **options)


def batch(**changes):
    lq = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return Batch(**{"lq": lq, "gt": 1 - lq, "keys": ("a", "b"), "seeds": (0, 1)} | changes)


def learners(model, iteration):
    return [phase.learner for phase in model.phases(batch(), iteration)]


def test_generator_first_then_the_discriminator_on_the_same_output():
    model = model_of()
    generator, opponent = model.phases(batch(), 1)
    assert set(generator.terms) == {"l1loss", "ganloss"}
    assert set(opponent.terms) == {"real", "fake"}
    weight = model.generator.weight
    assert torch.autograd.grad(generator.total(), weight, retain_graph=True)[0].abs().max() > 0
    with pytest.raises(RuntimeError, match="appears to not have been used"):
        torch.autograd.grad(opponent.total(), weight)
    mean = model.discriminator(generator.output.detach()).mean()
    torch.testing.assert_close(opponent.measures["net_d/fake"], mean.detach())


def test_weight_counts_for_the_generator_only():
    model = model_of()
    generator, opponent = model.phases(batch(), 1)
    logits = model.discriminator(generator.output)
    torch.testing.assert_close(generator.terms["ganloss"], 0.5 * nn.functional.softplus(-logits).mean())
    torch.testing.assert_close(opponent.terms["fake"], nn.functional.softplus(logits).mean())


def test_turns():
    model = model_of(net_d_iters=2, net_d_init_iters=3)
    assert [learners(model, iteration) for iteration in range(1, 7)] == [
        ["net_d"],
        ["net_d"],
        ["net_d"],
        ["net_g", "net_d"],
        ["net_d"],
        ["net_g", "net_d"],
    ]


def test_discriminator_rests_while_the_loss_is_not_active():
    model = model_of(spans=[Span(), Span(start=2)])
    assert learners(model, 2) == ["net_g"]
    assert learners(model, 3) == ["net_g", "net_d"]


def test_pause_and_its_end():
    model = model_of(pause_d_above=0.8)
    accuracy = {"net_d/accuracy": torch.tensor(1.0)}
    for _ in range(8):
        model.after_step(accuracy)
    assert learners(model, 1) == ["net_g", "net_d"]  # at 0.785; the next makes it 0.806
    model.after_step(accuracy)
    (paused,) = model.phases(batch(), 2)
    assert set(paused.measures) == {"net_d/accuracy", "net_d/real", "net_d/fake"}
    model.after_step({"net_d/accuracy": torch.tensor(float("nan"))})
    assert learners(model, 3) == ["net_g"]
    model.after_step({"net_d/accuracy": torch.tensor(0.0)})
    assert learners(model, 4) == ["net_g", "net_d"]


def test_state_round_trip_and_no_memory_without_a_pause():
    model, other = model_of(pause_d_above=0.8), model_of(pause_d_above=0.8)
    model.after_step({"net_d/accuracy": torch.tensor(1.0)})
    other.load_state_dict(model.state_dict())
    assert other.accuracy == model.accuracy != 0.5
    idle = model_of()
    idle.after_step({"net_d/accuracy": torch.tensor(1.0)})
    assert idle.accuracy == 0.5


@pytest.mark.parametrize(("changes", "text"), [({"lq": None}, "no LQ image"), ({"gt": None}, "no ground truth")])
def test_images_that_are_missing_are_named(changes, text):
    with pytest.raises(DataError, match=text):
        list(model_of().phases(batch(**changes), 1))


def test_exactly_one_loss_trains_the_discriminator():
    with pytest.raises(ConfigError, match="only one may"):
        model_of(("GANLoss", GANLoss("hinge"), 1.0))
    losses = WeightedLosses([("L1Loss", L1Loss(), 1.0)])
    with pytest.raises(ConfigError, match="none trains network_d"):
        AdversarialModel({MAIN: nn.Identity(), "net_d": Judgment()}, {}, losses)


def test_one_pass_of_the_discriminator_serves_all_losses_of_the_generator():
    calls = []

    class Seeing(Judgment):
        def forward(self, images, features=None):
            calls.append(images.requires_grad)
            if features is not None:
                features.append(self.weight * images)
            return super().forward(images)

    items = [
        ("L1Loss", L1Loss(), 1.0),
        ("GANLoss", GANLoss(), 0.5),
        ("FeatureMatchingLoss", FeatureMatchingLoss(), 1.0),
    ]
    model = AdversarialModel({MAIN: nn.Conv2d(3, 3, 1), "net_d": Seeing()}, {}, WeightedLosses(items))
    next(model.phases(batch(), 1))
    assert calls == [True, False]  # the output once, the ground truth once


def stepped(kind, micro_batch):
    """Return both networks' gradients and the measures of a step in micro-batches of a size, with a penalty due."""
    torch.manual_seed(0)
    generator, opponent = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 1, 3)
    losses = WeightedLosses([("GANLoss", GANLoss(kind, r1_weight=2.0, penalty_interval=2), 0.5)])
    model = AdversarialModel({MAIN: generator, "net_d": opponent}, {}, losses, pause_d_above=0.9)
    knobs = Knobs(batch_size=micro_batch, prefixes=("", "net_d."))
    learners = {
        name: learner_of(network, torch.optim.SGD(network.parameters(), 0.0), knobs, name=name)
        for name, network in ((MAIN, generator), ("net_d", opponent))
    }
    images = torch.randint(0, 256, (2, 4, 8, 8, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    stepper = Stepper(model, learners, Runtime(torch.device("cpu"), "test"), knobs)
    report = stepper.step([Batch(*images, tuple("abcd"), seeds=(0, 1, 2, 3))], 4)
    gradients = [p.grad for network in (generator, opponent) for p in network.parameters()]
    return [*gradients, report.updates["net_d"].measures["net_d/accuracy"], model.accuracy]


@pytest.mark.parametrize("kind", get_args(GanType))
def test_step_in_micro_batches_is_that_of_the_whole_batch(kind):
    for part, whole in zip(stepped(kind, 1), stepped(kind, 4), strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-6)
