"""Each function builds one part of a run from its section of the option file."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.engine.control.knobs import Knobs
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError, DataError
from traiNNer.registry import DATASETS, METRICS, MODELS
from traiNNer.run import build
from traiNNer.run.build import attempt

RUNTIME = Runtime(torch.device("cpu"), "test")


@pytest.fixture(autouse=True)
def _own_registries(monkeypatch):
    for registry in (DATASETS, METRICS, MODELS):
        assert list(registry)
        monkeypatch.setattr(registry, "_components", dict(registry._components))


def raising(error: Exception):
    def make():
        raise error

    return make


def test_plugin_exception_names_component_error_and_line():
    with pytest.raises(ConfigError, match=r"^train\.x cannot be used: KeyError: 'a' \(build\.py line \d+\)$"):
        attempt("train.x", raising(KeyError("a")))
    assert attempt("train.x", lambda: 5) == 5


@pytest.mark.parametrize("error", [DataError("already reported"), torch.OutOfMemoryError("full"), MemoryError()])
def test_user_and_memory_errors_are_not_wrapped(error):
    with pytest.raises(type(error)) as caught:
        attempt("train.x", raising(error))
    assert caught.value is error


def test_demo_is_prepared_only_if_its_folders_are_used_and_missing(loaded, book, monkeypatch, place):
    made = []
    monkeypatch.setattr(build, "prepare_demo", lambda root: made.append(root) or "prepared")
    build.prepare_demo_if_named(loaded().options, book)
    assert made == []
    options = loaded("datasets.val.dataroot_gt=datasets/demo/val/hr").options
    build.prepare_demo_if_named(options, book)
    assert made == [build.DEMO_ROOT]
    assert book.infos == ["datasets/demo/val/hr is missing: preparing the demo set…", "prepared"]
    (place / "datasets/demo/val/hr").mkdir(parents=True)
    build.prepare_demo_if_named(options, book)
    assert len(made) == 1


def test_dataset_is_opened_for_its_purpose_and_warns_below_a_batch(loaded, book):
    options = loaded("datasets.train.batch_size_per_gpu=3", "datasets.train.accum_iter=2").options
    assert len(build.open_dataset(options, "train", book)) == 5
    assert book.warnings == ["Only 5 images for batch 6; images repeat within an epoch."]
    build.open_dataset(options, "val", book)
    enlarged = loaded("datasets.train.batch_size_per_gpu=6", "datasets.train.dataset_enlarge_ratio=2").options
    build.open_dataset(enlarged, "train", book)
    assert len(book.warnings) == 1


def test_invalid_dataset_is_refused(loaded, book):
    DATASETS.register(object, name="NoSet")
    options = loaded("datasets.val={type: NoSet}").options
    with pytest.raises(ConfigError, match=r"datasets\.val: NoSet must be derived from traiNNer\.batch\.ImageSet"):
        build.open_dataset(options, "val", book)
    assert issubclass(type(build.open_dataset(options, "train", book)), ImageSet)


def test_networks_are_built_by_learner_with_a_description(loaded):
    options = loaded().options
    networks = build.build_networks(options)
    assert list(networks) == ["net_g"]
    assert networks["net_g"].conv_in.weight.shape == (8, 3, 3, 3)
    about = build.describe_networks(options)["net_g"]
    assert (about["arch"], about["scale"], about["options"]["num_feat"]) == ("paragonsr2", 2, 8)


def test_losses_carry_their_weights(loaded):
    options = loaded("train.losses=[{type: L1Loss, loss_weight: 3.0}, {type: MSELoss}]").options
    output, target = torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 3, 4, 4)
    terms = build.build_losses(options)(output, target)
    assert {name: float(value) for name, value in terms.items()} == {"l1loss": 1.5, "mseloss": 0.25}


def test_metrics_know_their_direction_and_can_be_switched_off(loaded):
    assert build.directions(loaded().options) == {"psnr": "higher", "ssim": "higher"}
    assert build.directions(loaded("val.metrics.psnr.better=lower").options)["psnr"] == "lower"
    assert build.build_metrics(loaded("val.metrics_enabled=false").options) == {}


@pytest.mark.parametrize("attributes", [{}, {"direction": "up", "needs_target": True}, {"direction": "higher"}])
def test_metric_must_declare_direction_and_needs(loaded, attributes):
    METRICS.register(type("Odd", (), {"__init__": lambda self: None, **attributes}))
    options = loaded("val.metrics={odd: {}}").options
    with pytest.raises(ConfigError, match=r"val\.metrics\.odd: odd needs the attributes direction"):
        build.build_metrics(options)


def test_every_evaluation_dataset_is_evaluated_under_its_name(loaded):
    options = loaded("datasets.val.name=set5", "val.tile_size=64", "val.tile_overlap=4").options
    (found,) = build.build_evaluations(options, {key: [] for key in options.datasets}, RUNTIME)
    assert (found.name, sorted(found.metrics)) == ("set5", ["psnr", "ssim"])


def test_network_of_a_metric_is_placed_where_the_run_is(loaded, monkeypatch):
    network, placed = torch.nn.Linear(1, 1), []
    own = {"__init__": lambda self: setattr(self, "network", network), "direction": "lower", "needs_target": True}
    METRICS.register(type("Looking", (), own | {"__call__": lambda self, output, target: 0.0}))
    monkeypatch.setattr(RUNTIME, "place", placed.append)
    options = loaded("val.metrics={looking: {}, psnr: {}}").options
    build.build_evaluations(options, {key: [] for key in options.datasets}, RUNTIME)
    assert placed == [network]


def test_loader_starts_at_the_iteration_of_the_run(loaded, book):
    options = loaded("train.total_iter=4").options
    dataset = build.open_dataset(options, "train", book)

    def keys(start, **more):
        loader = build.build_loader(options, dataset, RUNTIME, start=start, **more)
        try:
            return [batch.keys for step in loader for batch in step]
        finally:
            loader.close()

    assert keys(0)[2:] == keys(2)
    assert len(keys(0)) == 4
    assert [len(names) for names in keys(0, plan=BatchPlan(3))] == [3] * 4


def test_schedule_is_the_options_times_the_warm_up(loaded):
    scheduled = "train.scheduler={type: MultiStepLR, milestones: [4], gamma: 0.5}"
    factor = build.build_schedule(loaded(scheduled, "train.total_iter=8").options)
    assert [factor(iteration) for iteration in (0, 3, 4, 7)] == [1, 1, 0.5, 0.5]
    rising = build.build_schedule(loaded("train.warmup_iter=4", "train.total_iter=8").options)
    assert rising(0) < rising(1) < rising(3)
    assert rising(5) == 1


@pytest.mark.parametrize(
    ("settings", "last"),
    [
        ({}, 1 / 3),
        ({"finish": "false"}, 1),
        ({"enabled": "false"}, 1),
    ],
)
def test_rate_automation_ends_a_run_without_schedule_with_a_line_to_zero(loaded, settings, last):
    place = "train.training_automations"
    chosen = [f"{place}.IntelligentLearningRateScheduler.{key}={value}" for key, value in settings.items()]
    start = ["train.total_iter=10", "train.scheduler=null", f"{place}.enabled=true"]
    chosen = chosen or [f"{place}.IntelligentLearningRateScheduler={{}}"]
    factor = build.build_schedule(loaded(*start, *chosen).options)
    assert [factor(iteration) for iteration in (0, 7)] == [1, 1]
    assert factor(9) == pytest.approx(last)
    assert build.build_schedule(loaded(*start, *chosen, f"{place}.shadow=true").options)(9) == 1
    own = build.build_schedule(loaded(*start, *chosen, "train.scheduler={type: ConstantLR, factor: 1}").options)
    assert own(9) == 1


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_learner_has_an_optimizer_and_an_optional_ema(loaded, decay):
    options = loaded(f"train.ema_decay={decay}", "train.optim_g.lr=0.25").options
    networks = build.build_networks(options)
    (learner,) = build.build_learners(options, networks, RUNTIME, Knobs()).values()
    optimized = {id(p) for group in learner.optimizer.param_groups for p in group["params"]}
    assert optimized >= {id(p) for p in networks["net_g"].parameters() if p.requires_grad}
    assert learner.optimizer.param_groups[0]["lr"] == 0.25
    assert (learner.average is not None) == (decay > 0)


def test_model_must_be_a_model(loaded):
    MODELS.register(nn.Identity, name="NoModel")
    options = loaded("model=NoModel").options
    learners = build.build_learners(options, build.build_networks(options), RUNTIME, Knobs())
    losses = build.build_losses(options)
    with pytest.raises(ConfigError, match=r"must be derived from traiNNer\.models\.protocol\.TrainableModel"):
        build.build_model(options, learners, losses, RUNTIME)
    usual = build.build_model(loaded().options, learners, losses, RUNTIME)
    assert type(usual).__name__ == "RestorationModel"


def test_memory_is_pinned_only_for_a_gpu(loaded, book, monkeypatch):
    given = []
    monkeypatch.setattr(build, "TrainLoader", lambda *_, **options: given.append(options["pin_memory"]))
    options = loaded().options
    assert options.datasets["train"].pin_memory
    for kind in ("cpu", "cuda"):
        build.build_loader(options, np.zeros(3), SimpleNamespace(device=SimpleNamespace(type=kind), rank=0, world=1))
    assert given == [False, True]
