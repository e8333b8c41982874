"""The contract of every registered automation: its faults, and bad inputs, never reach the run."""

import math
from itertools import product

import pytest
import torch
from bookkit import Book
from enginekit import host_of, report_of
from hostkit import Ruler

import traiNNer.automations  # noqa: F401 - registers the automations
from traiNNer.engine.control.automation import NEVER
from traiNNer.engine.control.events import RunStarted
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.runtime.memory import Memory
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.registry import AUTOMATIONS

NAMES = [component.name for component in AUTOMATIONS if component.builder.__module__.startswith("traiNNer.")]
HOOKS = ("ranges", "on_start", "on_window", "on_probe", "on_validation", "on_failure", "on_change")
WITHOUT_WINDOWS = [c.name for c in AUTOMATIONS if c.name in NAMES and c.builder.every == NEVER]
METRICS = {"val/psnr": "higher"}


def build(name, automation=None, **options):
    automation = automation or AUTOMATIONS.build(name)
    run = RunStarted(
        4000, 8, val_freq=100, losses={"l1": 1.0, "mse": 1.0}, anchor="l1", metrics=METRICS, has_memory=True
    )
    runtime, book = Runtime(torch.device("cpu"), ""), Book()
    runtime.memory = lambda: Memory(10_000, 5_000, 4_000)
    host = host_of({name: automation}, run, Knobs(1.0, 8, ("l1", "mse")), book, runtime, **options)
    host.start(0)
    return host, book


def report(iteration, loss=None, norm=1.0):
    generator = torch.Generator().manual_seed(iteration)
    noise = torch.rand(3, generator=generator) * 0.1
    loss = 0.5 + noise[0] if loss is None else torch.tensor(loss)
    norms = {"l1": torch.tensor(1.0) + noise[1], "mse": torch.tensor(3.0) + noise[2]}
    finite = math.isfinite(float(loss))
    return report_of({"l1": loss, "mse": loss}, torch.tensor(norm) + noise[1], finite, 0.5, norms)


def live(host, iterations=range(1, 700), scores=True, **values):
    """Feed an automation iterations, validations, a failure, and a change by another automation."""
    for iteration in iterations:
        host.after_step(iteration, report(iteration, **values))
        host.after_iteration()
        if iteration % 100 == 0:
            host.after_validation(iteration, {"val/psnr": 30 + math.sin(iteration)} if scores else {})
        if iteration == 500:
            host.out_of_memory()
            host.effects.moves.tell(500, "loss_weight.mse", 1.0, 2.0)
            host.not_finite()
    host.finish()


@pytest.mark.parametrize(
    ("name", "hook"), [one for one in product(NAMES, HOOKS) if one[1] != "on_window" or one[0] not in WITHOUT_WINDOWS]
)
def test_exception_in_any_hook_activates_the_fallback_and_warns_once(name, hook, monkeypatch):
    def boom(*_):
        raise ValueError("boom")

    monkeypatch.setattr(AUTOMATIONS[name].builder, hook, boom)
    host, book = build(name, probe=Ruler())
    live(host)
    (slot,) = host.slots
    assert slot.is_off
    assert sum("is disabled for the rest of the run" in text for text in book.warnings) == 1
    assert sum("ValueError: boom" in text for text in book.infos) == 1
    for claimed in slot.claims:
        knob = host.knobs[claimed]
        assert knob.at(2000) == (knob.fallback(2000) if callable(knob.fallback) else knob.fallback)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_non_numeric_inputs_never_reach_the_run(name, loss):
    host, book = build(name)
    live(host, loss=loss, norm=math.nan, scores=False)
    assert all(math.isfinite(host.knobs[claimed].at(700)) or claimed == "grad_skip" for claimed in host.slots[0].claims)
    assert sum("is disabled for the rest" in text for text in book.warnings) <= 1
    assert not any("Traceback" in text for text in book.infos)


@pytest.mark.parametrize("name", NAMES)
def test_missing_metric_is_not_a_fault(name):
    host, book = build(name)
    live(host, scores=False)
    assert not any("Traceback" in text for text in book.infos)
    assert not host.slots[0].is_off


@pytest.mark.parametrize("name", NAMES)
def test_clock_jump_changes_no_decision(name, monkeypatch):
    first, straight = build(name)
    live(first)
    clock = iter(range(10**9, -(10**9), -(10**5)))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr("time.time", lambda: 0.0)
    second, jumped = build(name)
    live(second)
    assert jumped.decisions == straight.decisions
    assert jumped.warnings == straight.warnings


@pytest.mark.parametrize("name", NAMES)
def test_its_state_is_plain_and_complete(name, tmp_path):
    """Saved at any iteration and loaded into a new automation, the remaining decisions are the same."""
    whole, straight = build(name)
    live(whole)
    for stop in (37, 300, 501):
        before, early = build(name)
        live(before, range(1, stop + 1))
        torch.save(before.state_dict(), tmp_path / "state")
        after, late = build(name)
        late.decisions.clear()
        after.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
        after.start(stop)
        late.decisions.clear()
        live(after, range(stop + 1, 700))
        assert early.decisions + late.decisions == straight.decisions
