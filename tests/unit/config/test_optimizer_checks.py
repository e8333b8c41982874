import dataclasses

import pytest

from traiNNer.registry import OPTIMIZERS
from traiNNer.traits import Requirement

USUAL = "  optim_g: {type: AdamW, lr: 1e-3}\n"
FREE = "  optim_g: {type: ScheduleFreeAdamW, lr: 1e-3}\n"
SCHEDULE = "  scheduler: {type: MultiStepLR, milestones: [5]}\n"


@pytest.fixture
def is_installed(monkeypatch):
    """Let the extra be there or not, whatever this machine has."""

    def choose(is_there: bool) -> None:
        package = "json" if is_there else "pytorch_optimizer_missing"
        component = OPTIMIZERS["schedulefreeadamw"]
        traits = dataclasses.replace(component.traits, requires=Requirement(package, "pip install it"))
        changed = dataclasses.replace(component, traits=traits)
        monkeypatch.setitem(OPTIMIZERS._components, "schedulefreeadamw", changed)

    return choose


def test_missing_package_is_a_problem_of_the_file(problems, base, is_installed):
    is_installed(False)
    message = "schedulefreeadamw needs the package pytorch-optimizer-missing, which is not installed; "
    message += "install it with: pip install it"
    assert [(key, text) for _, key, text in problems(base.replace(USUAL, FREE))] == [("train.optim_g.type", message)]


def test_average_beside_an_average_and_a_schedule_are_reported(load, base, is_installed):
    is_installed(True)
    both = load(base.replace(USUAL, FREE + "  ema_decay: 0.99\n" + SCHEDULE)).warnings
    assert len(both) == 2
    assert "train.ema_decay (line 18) has no effect: schedulefreeadamw averages the weights itself" in both[0]
    assert "train.scheduler (line 19): schedulefreeadamw averages the weights instead of lowering" in both[1]


@pytest.mark.parametrize("more", ["", "  ema_decay: 0\n", "  scheduler: {type: ConstantLR}\n"])
def test_nothing_is_said_of_what_changes_nothing(load, base, is_installed, more):
    is_installed(True)
    assert load(base.replace(USUAL, FREE + more)).warnings == ()
    assert load(base.replace(USUAL, USUAL + "  ema_decay: 0.99\n" + SCHEDULE)).warnings == ()
