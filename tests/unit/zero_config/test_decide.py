"""From measurements to decisions with their reasons."""

from dataclasses import replace

import pytest

import traiNNer.run.build  # noqa: F401 - registers every component
from traiNNer.doctor.machine import Cores
from traiNNer.measuring.measured import Comparison, Crop, Fit, Measured, Pace, Trials
from traiNNer.zero_config import decide
from traiNNer.zero_config.decide import decide_measured, decide_plan, describe_trials, workers_to_try
from traiNNer.zero_config.draft import Draft
from traiNNer.zero_config.plan import Plan
from traiNNer.zero_config.presets import RATE, STOPPING, preset_values

TRAIN = "datasets.train"
BATCH, ACCUM = f"{TRAIN}.batch_size_per_gpu", f"{TRAIN}.accum_iter"
PACE = Pace(workers=2, it_per_s=10.0, waiting=0.0, tried={0: 8.0, 2: 10.0}, trained=60, trained_s=6.0, decode_s=1.0,
            validation_s=2.0, first_validation_s=0.5, save_s=0.1)  # fmt: skip


def draft(overrides=None) -> Draft:
    made = Draft(overrides)
    made.decide("name", "run")
    made.decide("scale", 2)
    for section in ("train", "val"):
        made.decide(f"datasets.{section}.type", "PairedImageDataset")
        made.decide(f"datasets.{section}.dataroot_gt", "hr")
        made.decide(f"datasets.{section}.dataroot_lq", "lr")
    made.decide(f"{TRAIN}.lq_size", 48)
    made.decide(BATCH, 16)
    made.decide("network_g.type", "paragonsr2_nano")
    made.decide("train.optim_g.type", "AdamW")
    made.decide("train.losses", [{"type": "L1Loss"}])
    made.decide("use_amp", False)
    for key, (value, reason) in preset_values("convenience").items():
        made.decide(key, value, reason)
    made.decide("val.metrics.psnr", {})
    return made


def decided(overrides=None, **found) -> Draft:
    made = draft(overrides)
    decide_measured(made, Measured(**found))
    return made


def test_no_decision_without_measurements():
    assert decided().tree() == draft().tree()
    assert decided().reasons == draft().reasons


@pytest.mark.parametrize(
    ("fit", "size", "parts", "words"),
    [
        (Fit(4, 2**30, 2**33), 4, 4, "tested: 1.0 of 8.0 GB"),
        (Fit(64, 0, 0), 16, 1, "tested: fits"),
        (Fit(8, 2**30, 2**33, failed=16), 8, 2, "1.0 of 8.0 GB; 16 do not fit"),
    ],
)
def test_batch_is_split_into_micro_batches_that_fit(fit, size, parts, words):
    made = decided(fit=fit)
    assert (made.value(BATCH), made.value(ACCUM)) == (size, parts)
    assert words in made.reasons[BATCH]
    assert made.reasons[ACCUM] == "micro-batches per step: 16 crops"


def test_user_batch_size_is_kept():
    made = decided({"datasets": {"train": {"batch_size_per_gpu": 32}}}, fit=Fit(4, 0, 0))
    assert made.value(BATCH) == 32
    assert ACCUM not in made.reasons
    only = decided({"datasets": {"train": {"accum_iter": 2}}}, fit=Fit(4, 0, 0))
    assert (only.value(BATCH), only.value(ACCUM)) == (4, 2)


def test_tiles_and_crops_are_decided_with_their_gain():
    made = decided(tile=256, crop=Crop(32, {48: 0.3, 32: 0.1}))
    assert made.value("val.tile_size") == 256
    assert made.value(f"{TRAIN}.lq_size") == 32
    assert made.reasons[f"{TRAIN}.lq_size"] == "side of the crops; 3.0 times as many steps as with 48"
    assert decided(crop=Crop(48, {48: 0.3, 32: 0.1})).tree() == draft().tree()


def test_setting_is_chosen_or_rejected_with_a_reason():
    taken = Comparison("bf16", {"use_amp": True}, 1.7, 0.0, True, "1.70 times as fast")
    assert (decided(settings=(taken,)).value("use_amp"), decided(settings=(taken,)).reasons["use_amp"]) == (
        True,
        "1.70 times as fast",
    )
    left = replace(taken, is_taken=False, note="slower")
    made = decided(settings=(left,))
    assert (made.value("use_amp"), made.reasons["use_amp"]) == (False, "bf16: slower")


@pytest.mark.parametrize(("waiting", "more"), [(0.004, ""), (0.1, "; 10% of the time is waiting for images")])
def test_worker_count_is_that_of_the_best_throughput(waiting, more):
    made = decided(pace=replace(PACE, waiting=waiting))
    key = f"{TRAIN}.num_worker_per_gpu"
    assert made.value(key) == 2
    assert made.reasons[key] == f"data workers. Measured: 0: 8.00 it/s, 2: 10.00 it/s{more}"


TRIALS = Trials({2e-4: (20.0,), 4e-3: (25.0, 27.0), 8e-3: (26.0, 26.5)}, (20, 40), 40.0)


def test_best_learning_rate_is_used():
    made = decided({"train": {"grad_clip_max_norm": 2.5}}, trials=TRIALS)
    assert made.value("train.optim_g.lr") == 4e-3
    assert made.reasons["train.optim_g.lr"] == describe_trials(TRIALS, 4e-3)
    nothing = decided(trials=Trials({1.0: (float("nan"),)}, (20,)))
    assert nothing.tree() == draft().tree()


def test_trials_are_compared_with_the_last_round():
    assert describe_trials(TRIALS, 4e-3) == "best of 3 after 40 iterations: 27.00 dB (0.008: 26.50)"
    alone = Trials({1e-3: (30.0,)}, (10,))
    assert describe_trials(alone, 1e-3) == "best of 1 after 10 iterations: 30.00 dB"


def test_plan_sets_every_length_dependent_option():
    made = draft()
    made.decide("train.end_at", "2000s")
    decide_plan(made, Plan(1000, 50, 100, 200, 40, 250, 1700.0, 0.04), 1800)
    values = {
        "train.end_at": "1800s",
        "train.warmup_iter": 50,
        "val.val_freq": 100,
        f"{STOPPING}.patience": 200,
        f"{RATE}.plateau_patience": 40,
        "logger.save_checkpoint_freq": 250,
    }
    assert {key: made.value(key) for key in values} == values
    assert made.reasons["train.end_at"] == "what is left of the budget: about 1,000 iterations"
    assert made.value("train.total_iter") == 40_000  # an upper bound that somebody gave
    assert "4% of the time" in made.reasons["val.val_freq"]


@pytest.mark.parametrize(("usable", "tried"), [(1, [1]), (2, [2]), (4, [2, 4]), (64, [2, 8])])
def test_two_numbers_of_data_workers_are_tried_at_most(monkeypatch, usable, tried):
    monkeypatch.setattr(decide, "cores", lambda: Cores(64, usable))
    assert workers_to_try() == tried
