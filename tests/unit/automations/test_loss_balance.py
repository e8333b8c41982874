import math
from dataclasses import replace

import numpy as np
import pytest

from traiNNer.automations.loss_balance import BATCHES, DynamicLossScheduling
from traiNNer.engine.control.automation import NEVER
from traiNNer.engine.control.events import KnobChanged, MeasureTerms, RunStarted, Say, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import Knobs

UNITS = {"l1loss": 1.0, "fftloss": 250.0, "ganloss": 0.004}


class Loop:
    """Feeds known gradient norms and applies the decisions."""

    def __init__(self, weights=None, units=None, noise=0.0, seed=0, warmup_iter=0, auto=True, anchor="l1loss"):
        self.weights = weights or dict.fromkeys(UNITS, 1.0)
        self.units = units or UNITS
        self.automation = DynamicLossScheduling(auto_calibrate=auto)
        self.run = RunStarted(10_000, 8, losses=self.weights, anchor=anchor, warmup_iter=warmup_iter)
        self.knobs = Knobs(losses=tuple(self.weights))
        self.automation.attach(self.knobs)
        for name, wanted in self.automation.ranges(self.run).items():
            self.knobs[name].configure(wanted)
        self.noise, self.random = noise, np.random.default_rng(seed)
        self.log, self.at, self.measured_until = [], 0, 0
        self.apply(self.automation.on_start(self.run))

    def apply(self, decisions):
        for decision in decisions:
            self.log.append((self.at, decision))
            if isinstance(decision, MeasureTerms):
                self.measured_until = self.at + decision.iterations
            elif isinstance(decision, SetKnob):
                knob = self.knobs[decision.knob]
                old = knob.value
                knob.set(decision.value, self.at)
                self.automation.on_change(KnobChanged(self.at, decision.knob, old, knob.value))

    def norms(self, iteration):
        if iteration > self.measured_until:
            return None
        spread = np.exp(self.noise * self.random.standard_normal(len(self.weights)))
        return {
            name: abs(weight) * self.units[name] * self.knobs[f"loss_weight.{name}"].at() * factor
            for (name, weight), factor in zip(self.weights.items(), spread, strict=True)
        }

    def go(self, until):
        steps = []
        for iteration in range(self.at + 1, until + 1):
            self.at = iteration
            steps.append(Step(True, 1.0, 0.1, norms=self.norms(iteration)))
            if iteration % self.automation.every == 0:
                self.apply(self.automation.on_window(WindowFinished(iteration, steps)))
                steps = []
        return self

    def shares(self):
        pulls = {n: abs(w) * self.units[n] * self.knobs[f"loss_weight.{n}"].value for n, w in self.weights.items()}
        return {name: pull / sum(pulls.values()) for name, pull in pulls.items()}


def test_shares_equal_the_weights_for_any_losses():
    loop = Loop({"l1loss": 1.0, "fftloss": 0.5, "ganloss": 0.1}).go(100)
    assert loop.shares() == pytest.approx({"l1loss": 1 / 1.6, "fftloss": 0.5 / 1.6, "ganloss": 0.1 / 1.6})
    assert loop.knobs["loss_weight.l1loss"].value == 1.0
    assert {at for at, decision in loop.log if isinstance(decision, SetKnob)} == {BATCHES}


@pytest.mark.parametrize("seed", range(10))
def test_noise_of_single_batches_averages_out(seed):
    shares = Loop(noise=0.4, seed=seed).go(100).shares()
    assert all(share == pytest.approx(1 / 3, rel=0.25) for share in shares.values())


def test_measures_once_after_warmup():
    loop = Loop(warmup_iter=100).go(1000)
    measured = [(at, decision.iterations) for at, decision in loop.log if isinstance(decision, MeasureTerms)]
    assert measured == [(128, BATCHES)]
    assert {at for at, decision in loop.log if isinstance(decision, SetKnob)} == {160}
    assert loop.automation.every == NEVER


def test_without_auto_calibrate_the_shares_are_only_reported():
    loop = Loop(auto=False).go(100)
    assert all(knob.value == 1.0 for knob in loop.knobs.values() if knob.value != 0 and not math.isinf(knob.value))
    (table,) = [decision.text for _, decision in loop.log if isinstance(decision, Say)]
    assert table.splitlines()[1].split() == ["loss", "weight", "factor", "before", "after"]
    assert max(map(len, table.splitlines())) <= 60
    assert "99.6%" in table
    assert loop.automation.summary().startswith("measured (")


def test_table_names_every_loss():
    (table,) = [decision.text for _, decision in Loop().go(100).log if isinstance(decision, Say)]
    assert all(name in table for name in UNITS)
    assert "33.3%" in table


def test_single_loss_is_not_balanced():
    loop = Loop({"l1loss": 1.0}).go(200)
    assert [type(decision) for _, decision in loop.log] == [Say]
    assert loop.automation.every == NEVER


def test_loss_of_weight_zero_is_skipped():
    loop = Loop({"l1loss": 1.0, "fftloss": 0.0, "ganloss": 1.0}).go(100)
    assert loop.knobs["loss_weight.fftloss"].value == 1.0
    assert loop.shares()["ganloss"] == pytest.approx(0.5)


def test_without_a_pixel_loss_the_first_is_the_anchor():
    loop = Loop({"ganloss": 1.0, "l1loss": 1.0}, anchor=None).go(100)
    assert loop.knobs["loss_weight.ganloss"].value == 1.0
    assert loop.knobs["loss_weight.l1loss"].value == pytest.approx(0.004)


def test_factors_are_bounded():
    loop = Loop({"l1loss": 1.0, "fftloss": 1.0}, {"l1loss": 1.0, "fftloss": 1e9}).go(100)
    assert loop.knobs["loss_weight.fftloss"].value == 1e-4


@pytest.mark.parametrize("bad", [math.nan, 0.0, math.inf])
def test_batches_without_all_gradients_are_ignored(bad):
    loop = Loop()
    inner, loop.norms = loop.norms, lambda i: {**inner(i), "ganloss": bad} if i % 3 == 0 and inner(i) else inner(i)
    assert loop.go(100).shares()["ganloss"] == pytest.approx(1 / 3)


def test_too_few_good_batches_are_reported_without_changes():
    loop = Loop()
    loop.norms = lambda i: {**dict.fromkeys(UNITS, 1.0), "ganloss": math.nan}
    loop.go(100)
    (said,) = [decision for _, decision in loop.log if isinstance(decision, Say)]
    assert said.warn
    assert not [decision for _, decision in loop.log if isinstance(decision, SetKnob)]
    assert loop.automation.summary() == "not calibrated"


@pytest.mark.parametrize("stop", [1, 50, 127, 128, 140, 159, 160, 200])
def test_resume_at_any_iteration_decides_the_same(stop):
    straight = Loop(noise=0.3, warmup_iter=100).go(300)
    before = Loop(noise=0.3, warmup_iter=100)
    # Stop only at the end of a window; the host keeps open windows.
    while before.at < stop:
        before.go(before.at + 1)
    whole = before.at - before.at % before.automation.every
    first = Loop(noise=0.3, warmup_iter=100).go(whole)
    after = Loop(noise=0.3, warmup_iter=100)
    after.log.clear()
    after.automation.load_state_dict(first.automation.state_dict())
    after.at, after.random, after.measured_until = first.at, first.random, first.measured_until
    after.knobs.load_state_dict(first.knobs.state_dict(), after.knobs)
    after.apply(after.automation.on_start(after.run))
    after.go(300)
    assert [entry for entry in first.log + after.log if isinstance(entry[1], SetKnob)] == [
        entry for entry in straight.log if isinstance(entry[1], SetKnob)
    ]


@pytest.mark.parametrize(("change", "at"), [((0.0, 1.0), 500), ((1.0, 0.0), 40), ((0.0, 1.0), 20)])
def test_loss_that_is_absent_while_it_measures_keeps_its_weight(change, at):
    loop = Loop(units=UNITS | {"fftloss": 2.5}, warmup_iter=10)
    changes = [KnobChanged(at, "loss_weight.l1loss", *change)]
    loop.run = replace(loop.run, changes=changes, later_anchors=["ganloss"])
    loop.automation, loop.log = DynamicLossScheduling(), []
    loop.automation.attach(loop.knobs)
    loop.apply(loop.automation.on_start(loop.run))
    loop.weights = {name: weight for name, weight in loop.weights.items() if name != "l1loss"}
    loop.go(100)
    said = [decision.text for _, decision in loop.log if isinstance(decision, Say)]
    assert said[0] == "l1loss: not active while it measures; the weight stays as it is"
    assert loop.knobs["loss_weight.l1loss"].value == 1.0
    assert loop.knobs["loss_weight.ganloss"].value == 1.0  # the pixel loss that is left
    assert loop.shares() == pytest.approx({"fftloss": 0.5, "ganloss": 0.5})
