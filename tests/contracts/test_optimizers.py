"""What every optimizer keeps to, whoever wrote it: exact resumes, exact rollbacks, described options."""

import importlib.util
import io

import pytest
import torch
from torch import nn

from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.learner import Learner
from traiNNer.models.protocol import MAIN
from traiNNer.optim.optimizers import build_optimizer
from traiNNer.registry import OPTIMIZERS
from traiNNer.run.averages import build_average

HAS_EXTRA = importlib.util.find_spec("pytorch_optimizer") is not None
USABLE = [
    component.name
    for component in OPTIMIZERS
    if not component.traits.refused and (HAS_EXTRA or component.traits.requires is None)
]


@pytest.fixture(params=USABLE)
def name(request):
    return request.param


def learner_of(name: str) -> Learner:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 3))
    network.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(name, {}, network.parameters())
    return Learner(name=MAIN, network=network, optimizer=optimizer, schedule=lambda iteration: 1 / (1 + iteration),
                   knobs=Knobs(), average=build_average(name, 0.9, network, optimizer))  # fmt: skip


def train(learner: Learner, first: int, last: int) -> Learner:
    """Do the iterations from `first` to `last`, counted from 1, each with other images."""
    for iteration in range(first, last + 1):
        images = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(iteration))
        learner.apply_learning_rate(iteration - 1)
        learner.optimizer.zero_grad(set_to_none=True)
        learner.network(images.to(memory_format=torch.channels_last)).square().mean().backward()
        learner.optimizer.step()
        assert learner.average is not None
        learner.average.update(iteration)
    return learner


def tensors(learner: Learner) -> dict[str, torch.Tensor]:
    weights = {f"{role}.{key}": value for role, found in learner.weights().items() for key, value in found.items()}
    return {key: value.clone() for key, value in weights.items()}


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [key for key in found if not torch.equal(found[key], expected[key])] == []


def on_disk(value):
    """Return what comes back of a value that is saved and loaded as a training state is."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_six_steps_are_three_saved_loaded_and_three(name):
    straight = train(learner_of(name), 1, 6)
    saved = train(learner_of(name), 1, 3)
    at_three = tensors(saved)
    state, weights = on_disk(saved.state_dict()), on_disk(saved.weights())
    resumed = learner_of(name)
    resumed.load_weights(weights)
    resumed.load_state_dict(state)
    assert_equal(tensors(resumed), at_three)
    assert_equal(tensors(train(resumed, 4, 6)), tensors(straight))
    assert any(not torch.equal(value, at_three[key]) for key, value in tensors(straight).items())


def test_a_rollback_leaves_no_trace(name):
    straight, undone = train(learner_of(name), 1, 5), train(learner_of(name), 1, 2)
    kept = on_disk(undone.snapshot())
    train(undone, 7, 9)
    undone.roll_back(kept)
    assert_equal(tensors(train(undone, 3, 5)), tensors(straight))


def test_undoing_the_first_step_leaves_no_trace(name):
    straight, undone = train(learner_of(name), 1, 3), learner_of(name)
    kept = undone.snapshot()
    train(undone, 1, 1)
    undone.roll_back(kept)
    assert_equal(tensors(train(undone, 1, 3)), tensors(straight))


def test_options_of_the_file_win_over_recorded_ones(name):
    changed = learner_of(name)
    changed.optimizer.param_groups[0]["weight_decay"] = 0.125
    changed.load_state_dict(train(learner_of(name), 1, 2).state_dict())
    assert changed.optimizer.param_groups[0]["weight_decay"] == 0.125


def test_weights_become_their_average_and_stay_it(name):
    learner = train(learner_of(name), 1, 4)
    assert learner.average is not None
    average = {key: value.clone() for key, value in learner.average.network.state_dict().items()}
    learner.become_average()
    assert_equal(dict(learner.network.state_dict()), average)
    learner.average.update(5)
    for key, value in learner.average.network.state_dict().items():
        torch.testing.assert_close(value, average[key], rtol=0, atol=1e-6)


def test_every_option_is_described(name):
    component = OPTIMIZERS[name]
    for option in component.options.model_fields:
        assert f"    {option}: " in (component.builder.__doc__ or "")


@pytest.mark.parametrize("spelling", ["NAdam", "nadam", "NADAM", "StableAdamW", "schedule_free_adamw", "SOAP", "Adan"])
def test_names_are_those_of_the_community_in_any_case(spelling):
    assert spelling in OPTIMIZERS
