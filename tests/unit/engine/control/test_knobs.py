import math

import pytest

from traiNNer.engine.control.knobs import GRAD_CLIP, LR_BATCH, LR_FACTOR, Knob, Knobs, Range


def test_request_beyond_the_bounds_is_clamped():
    knob = Knob(1.0, 0.1, 2.0)
    knob.set(5.0, 10)
    assert knob.value == knob.at(10) == 2.0
    knob.set(0.0, 11)
    assert knob.at(11) == 0.1


def test_ramp_goes_from_the_active_value_to_the_new_one():
    knob = Knob(1.0, high=10.0, ramp=200)
    knob.set(2.0, 1000)
    assert [knob.at(i) for i in (1000, 1050, 1100, 1200, 5000)] == [1.0, 1.25, 1.5, 2.0, 2.0]
    knob.set(1.0, 1100)
    assert knob.at(1100) == 1.5
    assert knob.at(1300) == 1.0


def test_disabled_automation_leaves_its_fallback_active():
    knob = Knob(1.0)
    knob.configure(Range(0.1, 2.0, fallback=lambda iteration: 1 / (1 + iteration)))
    knob.set(0.5, 3)
    knob.is_disabled = True
    assert [knob.at(i) for i in (0, 1, 3)] == [1.0, 0.5, 0.25]


def test_without_a_fallback_the_file_value_is_used():
    knob = Knob(3.0)
    knob.set(7.0, 1)
    knob.is_disabled = True
    assert knob.at(2) == 3.0


def test_start_value_of_an_automation_is_active_at_once():
    knobs = Knobs(grad_clip=5.0)
    knobs[GRAD_CLIP].configure(Range(0.1, 10.0, start=1.0))
    assert knobs[GRAD_CLIP].at() == 1.0
    assert knobs[GRAD_CLIP].claimed


def test_shadow_mode_only_simulates_changes():
    knob = Knob(5.0)
    knob.shadow()
    knob.configure(Range(start=1.0))
    knob.set(2.0, 10)
    assert (knob.value, knob.at(10)) == (2.0, 5.0)
    knob.is_disabled = True
    assert knob.at(10) == 5.0


def test_learning_rate_is_the_product_of_both_factors():
    knobs = Knobs()
    knobs[LR_FACTOR].set(0.5, 0)
    knobs[LR_BATCH].set(2.0, 0)
    assert knobs.rate(100) == pytest.approx(0.5 * 1.5)


def test_only_factors_that_differ_are_applied():
    knobs = Knobs(losses=("l1", "ssim"))
    assert knobs.loss_weights() == {}
    knobs["loss_weight.ssim"].set(3.0, 0)
    assert knobs.loss_weights() == {"ssim": 3.0}


def test_state_survives_and_respects_new_bounds():
    old, new = Knobs(1.0, 8, ("l1",)), Knobs(1.0, 8)
    old[LR_FACTOR].set(2.0, 5)
    old[LR_BATCH].set(2.0, 100)
    old[GRAD_CLIP].is_disabled = True
    new[LR_FACTOR].configure(Range(0.1, 1.5))
    new.load_state_dict(old.state_dict(), new)
    assert new[LR_FACTOR].value == 1.5
    assert new[LR_BATCH].at(150) == old[LR_BATCH].at(150) == 1.25
    assert new[GRAD_CLIP].is_disabled
    assert math.isinf(new["grad_skip"].value)


def test_move_by_way_of_a_dip_is_a_function_of_the_iteration():
    knob = Knob(1.0, 0.1, 2.0)
    knob.set(0.9, 100, dip=0.5, hold=40)
    assert [knob.at(at) for at in (100, 139, 140, 160, 180, 500)] == pytest.approx([0.5, 0.5, 0.5, 0.7, 0.9, 0.9])
    again = Knob(1.0, 0.1, 2.0)
    again.load_state_dict(knob.state_dict())
    assert [again.at(at) for at in range(100, 200)] == [knob.at(at) for at in range(100, 200)]
    knob.set(0.8, 150)
    assert knob.at(150) == 0.8  # the next move is as quick as before
    knob.set(0.5, 200, dip=0.01, hold=10)
    assert knob.at(200) == 0.1


def test_dip_and_the_way_up_are_below_the_lasting_value_and_a_lasting_cut_is_not():
    knob = Knob(1.0, 0.1, 2.0)
    knob.set(0.9, 100, dip=0.5, hold=50)
    assert [at for at in range(100, 300) if knob.is_below(at)] == list(range(100, 200))
    knob.set(0.3, 300)
    assert not any(knob.is_below(at) for at in range(300, 400))
