"""Learners, steps and reports for engine tests, built as in a run."""

import math
from collections.abc import Callable

import torch
from torch import nn

from traiNNer.batch import BatchPlan
from traiNNer.config.options import ArchChoice, CommonOptions
from traiNNer.engine.control.events import KeepSnapshot, MeasureTerms, Rollback
from traiNNer.engine.control.host import AutomationHost
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.learner import Learner
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.step import Stepper
from traiNNer.engine.step_report import StepReport, Update
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.models.protocol import MAIN
from traiNNer.models.restoration import RestorationModel


def options_of(**changes) -> CommonOptions:
    """Return the smallest options that a runtime starts with."""
    values = {"name": "x", "scale": 2, "network_g": ArchChoice(type="paragonsr2_nano"), "datasets": {}} | changes
    return CommonOptions(**values)


def learner_of(network: nn.Module, optimizer, knobs: Knobs | None = None, decay: float = 0.0, name: str = MAIN):
    average = WeightAverage(network, decay) if decay else None
    return Learner(name, network, optimizer, lambda _: 1.0, knobs or Knobs(), average)


def stepper_of(
    network: nn.Module,
    losses: Callable,
    optimizer,
    knobs: Knobs | None = None,
    runtime: Runtime | None = None,
    on_out_of_memory: Callable[[], bool] | None = None,
) -> Stepper:
    """Return the stepper of a run with one learner."""
    knobs, runtime = knobs or Knobs(), runtime or Runtime(torch.device("cpu"), "test")
    model = RestorationModel({MAIN: runtime.upscaler(network)}, {}, losses)
    learner = learner_of(network, optimizer, knobs)
    return Stepper(model, {MAIN: learner}, runtime, knobs, on_out_of_memory=on_out_of_memory)


def report_of(
    terms: dict[str, float], norm: float = 1.0, finite: bool = True, reference=None, norms=None
) -> StepReport:
    """Return the report of a step with one learner."""
    flag = torch.tensor(finite)
    tensors = {name: torch.as_tensor(value) for name, value in terms.items()}
    update = Update(tensors, torch.as_tensor(norm if finite or not math.isnan(norm) else math.nan), flag, norms)
    return StepReport({MAIN: update}, flag, None if reference is None else torch.tensor(float(reference)))


def host_of(automations, run, knobs: Knobs, book, runtime: Runtime | None = None, act=lambda decision: True, **options):
    """Return a host whose actions all go to `act`; the base learning rate is that of `run`."""
    runtime = runtime or Runtime(torch.device("cpu"), "")
    plan = options.pop("plan", None) or BatchPlan(run.batch_size)
    actions = dict.fromkeys((KeepSnapshot, Rollback, MeasureTerms), act) | options.pop("actions", {})

    def learning_rate(iteration: int) -> float:
        return run.base_lr * run.schedule(iteration) * knobs.rate(iteration)

    return AutomationHost(automations, run, knobs, runtime, book, actions, plan, learning_rate, **options)
