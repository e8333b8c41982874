"""The objects of a run, built from its options."""

import pytest
import torch
from bookkit import Book
from runkit import merged

from traiNNer.engine.checkpoint.store import CheckpointStore
from traiNNer.engine.control.events import KeepSnapshot, MeasureTerms, Rollback
from traiNNer.engine.run_folder import run_folder
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.engine.signals import StopSignals
from traiNNer.run.assemble import FP16_SCALE_HALVINGS, assemble, assemble_training
from traiNNer.run.build import build_networks, open_dataset

SMALL = {
    "network_g": {"type": "paragonsr2", "num_feat": 8, "num_groups": 1, "num_blocks": 1, "band_kernel_size": 3},
    "train": {"total_iter": 2, "scheduler": None},
}
AUTOMATIONS = {
    "train": {
        "grad_clip": True,
        "training_automations": {"enabled": True, "DynamicBatchSizeOptimizer": {"enabled": True}},
    }
}


@pytest.fixture
def training(loaded):
    """Return a function that assembles a trainer from changes to the tiny file."""

    def build(changes=None, **given):
        options = loaded(changes=merged(SMALL, changes or {})).options
        runtime, _ = start_runtime(options)
        train_set = open_dataset(options, "train", Book())
        return assemble_training(options, runtime, build_networks(options), train_set, Book(), **given)

    return build


def test_no_host_and_no_retry_without_automations(training):
    made = training()
    assert made.automations is None
    assert made.stepper.on_out_of_memory is None
    assert list(made.learners) == ["net_g"]
    assert (made.iteration, made.plan.size(0)) == (0, 2)


def test_host_handles_oom_unless_steps_are_not_splittable(training):
    made = training(AUTOMATIONS)
    assert made.stepper.on_out_of_memory == made.automations.out_of_memory
    assert made.automations.plan is made.plan
    assert training(AUTOMATIONS, may_split=False).stepper.on_out_of_memory is None


def test_host_requests_reach_training(training):
    made = training(AUTOMATIONS)
    actions = made.automations.effects.actions
    assert actions[Rollback](Rollback("nothing kept yet")) is False
    actions[KeepSnapshot](KeepSnapshot())
    (weight, *_), before = made.learners["net_g"].parameters, made.learners["net_g"].parameters[0].detach().clone()
    with torch.no_grad():
        weight.add_(1)
    made.watch.streak = 3
    assert actions[Rollback](Rollback("diverged")) is True
    assert torch.equal(weight, before)
    assert made.watch.streak == 0
    actions[MeasureTerms](MeasureTerms(5))
    assert made.stepper.measuring.is_on
    actions[MeasureTerms](MeasureTerms(0))
    assert not made.stepper.measuring.is_on


def test_fp16_may_overflow_until_its_scale_is_found(training):
    limit = training({"train": {"max_nonfinite": 4}}).watch
    assert limit._allowed == 4
    assert FP16_SCALE_HALVINGS > 10


@pytest.mark.parametrize(("decay", "role"), [(0.9, "net_g_ema"), (0, "net_g")])
def test_exported_network_is_scored_and_saved_under_its_role(loaded, tmp_path, decay, role):
    options = loaded(changes=merged(SMALL, {"train": {"ema_decay": decay}, "val": {"save_img": True}})).options
    runtime, book = start_runtime(options)[0], Book()
    sets = {key: open_dataset(options, key, book) for key in options.datasets}
    folder = run_folder(options)
    networks = build_networks(options)
    with StopSignals() as signals:
        made = assemble(options, folder, runtime, networks, sets, book, signals, CheckpointStore(folder))
    main = made.training.learners["net_g"]
    assert made.scorer.role == role
    assert made.scorer.network is (main.average.network if decay else networks["net_g"])
    assert made.scorer.place_image == folder.place_image
    assert made.facts.keys() == {"environment", "identity", "stream"}
    assert made.saver.about["net_g"]["arch"] == options.network_g.type
