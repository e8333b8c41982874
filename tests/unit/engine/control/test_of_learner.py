"""An automation for another learner, against the same automation for the main one."""

import numpy as np
import pytest

from traiNNer.automations.gradient_clipping import AdaptiveGradientClipping
from traiNNer.engine.control.events import KnobChanged, RunStarted, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import GRAD_CLIP, Knobs
from traiNNer.engine.control.of_learner import OfLearner

STARTED = RunStarted(total_iter=10_000, batch_size=8, is_clipping=True)


def attached(automation):
    knobs = Knobs(1.0, 4, ("l1",), ("", "net_d."))
    automation.attach(knobs)
    for name, wanted in automation.ranges(STARTED).items():
        knobs[name].configure(wanted)
    list(automation.on_start(STARTED))
    return automation, knobs


def feed(automation, knobs, is_main):
    """Show 400 norms, to the main learner or to the other one while the main one has norms of 9; return the moves."""
    random, moves = np.random.default_rng(0), []
    for end in range(10, 410, 10):
        steps = [Step(True, float(norm), 0.1) for norm in 0.3 + 0.05 * random.random(10)]
        high = [Step(True, 9.0, 0.1)] * 10
        event = WindowFinished(end, steps if is_main else high, others={"net_d": high if is_main else steps})
        for decision in automation.on_window(event):
            if isinstance(decision, SetKnob):
                before, after = knobs[decision.knob].value, decision.value
                knobs[decision.knob].set(decision.value, end)
                automation.on_change(KnobChanged(end, decision.knob, before, after))
                moves.append(decision)
    return moves


def test_its_moves_are_those_of_the_main_one_under_other_names():
    main = feed(*attached(AdaptiveGradientClipping()), is_main=True)
    other = feed(*attached(OfLearner(AdaptiveGradientClipping(), "net_d")), is_main=False)
    assert main
    assert [(one.knob, one.value, one.reason) for one in other] == [
        (f"net_d.{one.knob}", one.value, one.reason) for one in main
    ]


def test_claims_and_knobs_of_the_main_learner_are_not_touched():
    automation, knobs = attached(OfLearner(AdaptiveGradientClipping(initial_threshold=0.5), "net_d"))
    assert set(automation.ranges(STARTED)) == {"net_d.grad_clip", "net_d.grad_skip"}
    assert (knobs["net_d.grad_clip"].value, knobs[GRAD_CLIP].value) == (0.5, 1.0)
    automation.on_change(KnobChanged(5, GRAD_CLIP, 1.0, 0.5))
    assert automation.automation.rest_until == 0
    automation.on_change(KnobChanged(5, "net_d.grad_clip", 1.0, 0.5))
    assert automation.automation.rest_until == 5 + STARTED.memory_of_optimizer


def test_window_without_the_learner_says_nothing():
    automation, _ = attached(OfLearner(AdaptiveGradientClipping(), "net_d"))
    assert list(automation.on_window(WindowFinished(200, [Step(True, 1.0, 0.1)] * 200))) == []
    assert automation.automation.history == []


def test_memory_and_words_are_those_of_the_automation():
    automation, knobs = attached(OfLearner(AdaptiveGradientClipping(), "net_d"))
    feed(automation, knobs, is_main=False)
    again, _ = attached(OfLearner(AdaptiveGradientClipping(), "net_d"))
    again.load_state_dict(automation.state_dict())
    assert again.state_dict() == automation.state_dict()
    assert again.summary() == automation.summary() != ""
    assert again.title == "clipping of net_d"


@pytest.mark.parametrize("name", ["every", "max_adjustments"])
def test_pace_is_that_of_the_automation(name):
    inner = AdaptiveGradientClipping(monitoring_frequency=7, max_adjustments=3)
    assert getattr(OfLearner(inner, "net_d"), name) == getattr(inner, name)
