"""The evidence of the automations: shortened files, runs without automations, intervals, tables that show misses."""

import math
from dataclasses import replace

import pytest
from imagekit import write_pairs

from benchmarks.automations import real_healthy, real_rates, real_stops
from benchmarks.automations.arms import NANO_ADAMW, SMALL, Arms, Case
from benchmarks.automations.figures import Scope
from benchmarks.automations.files import FILES, shortened, written
from benchmarks.automations.intervals import Interval, by_seed
from benchmarks.automations.photos import Pairs, Photos
from benchmarks.automations.runner import Result
from traiNNer.config.load import check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import node_of
from traiNNer.registry import ARCHS, LOSSES, OPTIMIZERS, SCHEDULES
from traiNNer.run.build import build_schedule
from traiNNer.utils import plugin_files


@pytest.fixture(autouse=True)
def no_plugins_afterwards(monkeypatch):
    """Forget the plugins of the benchmark after a test."""
    monkeypatch.setattr(plugin_files, "_imported", dict(plugin_files._imported))
    before = {registry: set(registry._components) for registry in REGISTRIES}
    yield
    for registry, names in before.items():
        for name in {"smallcnn", "spikyl1loss", "finishlr", "leashedadamw"} - names:
            registry._components.pop(name, None)


@pytest.fixture
def scope(tmp_path) -> Scope:
    """Return a scope of two networks and two seeds on a few photos."""
    write_pairs(tmp_path / "photos", 3, (60, 70), smooth=True)
    pairs = Pairs(tmp_path / "photos/hr", tmp_path / "photos/lr")
    return Scope(Arms(Photos(pairs, pairs, pairs, "test")), [SMALL, NANO_ADAMW], seeds=(1, 2))


REGISTRIES = (ARCHS, LOSSES, OPTIMIZERS, SCHEDULES)


def options_of(tree) -> TrainOptions:
    return check_tree(node_of({"name": "run", **tree}, source="here"), TrainOptions, "here").options


def result(arm, seed, score, **changes) -> Result:
    total = arm.tree["train"]["total_iter"]
    curve = [(total // 2, score), (total - 2, score), (total - 1, score - 0.1), (total, score + 0.1)]
    return replace(Result(arm.name, seed, "", 0, total, 1.0, 1.0, "same", 0, curve, []), **changes)


def test_every_length_is_scaled_alike_also_those_by_default(scope):
    for file in FILES:
        whole = written(file, scope.arms.photos.train)
        short = shortened(whole, 800)["train"]["training_automations"]["IntelligentEarlyStopping"]
        factor = 800 / whole["train"]["total_iter"]
        given = whole["train"]["training_automations"]["IntelligentEarlyStopping"]
        assert short["patience"] == round(factor * given["patience"])
        assert short["min_iterations"] == round(factor * 5000)  # the guide's own value is the default
        assert short["min_improvement"] == given["min_improvement"]


def test_shortened_file_has_as_many_validations(scope):
    for file in FILES:
        whole, short = written(file, scope.arms.photos.train), shortened(written(file, scope.arms.photos.train), 480)
        assert short["train"]["total_iter"] / short["val"]["val_freq"] == (
            whole["train"]["total_iter"] / whole["val"]["val_freq"]
        )


def test_run_without_automations_has_the_same_schedule_and_limit(scope):
    for file in FILES:
        case = Case(SMALL, file, 1)
        on, off = (options_of(arm.tree) for arm in (scope.arms.on(case), scope.arms.off(case)))
        assert on.train.training_automations is not None
        assert off.train.training_automations is None
        assert off.train.grad_clip_max_norm == 1.0
        rates = [[build_schedule(one)(at) for at in range(on.train.total_iter)] for one in (on, off)]
        assert rates[0] == rates[1]
        assert rates[0][-1] < 0.01


def test_interval_is_students():
    seen = Interval.of([0.1, 0.2, 0.3])
    assert (seen.mean, seen.high) == pytest.approx((0.2, 0.2 + 4.3027 * 0.1 / math.sqrt(3)), abs=1e-4)
    assert by_seed([(1, 1.0), (1, 3.0), (2, 5.0)]) == [2.0, 5.0]
    assert math.isnan(Interval.of([0.1, math.inf]).high)


def test_score_is_the_mean_of_the_last_three(scope):
    seen = result(scope.arms.on(Case(SMALL, "guide", 1)), 1, 35.0)
    assert seen.score == pytest.approx(35.0)
    assert math.isnan(replace(seen, exit_code=5).score)
    stop = {"knob": None, "old": None, "new": None, "action": "stop"}
    curve = [(1, 30.0), (2, 33.0), (3, 36.0), (4, 33.0), (5, 20.0)]
    assert replace(seen, curve=curve, decisions=[stop]).score == pytest.approx(34.0)


def test_healthy_table_shows_harm_alarms_and_weights_that_differ(scope):
    known = {}
    for arm, seed in real_healthy.runs(scope):
        known[arm.name, seed] = result(arm, seed, 35.0 + 0.01 * seed)
    find = lambda arm, seed: known.get((arm.name, seed))  # noqa: E731
    table = real_healthy.table(scope, find)
    assert not table.missed
    assert "+0.000 [+0.000, +0.000]" in str(table)
    name = scope.arms.on(Case(SMALL, "guide", 1)).name, 1
    known[name] = replace(known[name], weights="other")
    assert real_healthy.table(scope, find).missed == ["healthy: 1 runs without a move differ in their weights"]
    rollback = {"knob": None, "old": None, "new": None, "action": "rollback"}
    known[name] = replace(known[name], curve=[(1, 34.0)] * 3, decisions=[rollback])
    assert len(real_healthy.table(scope, find).missed) == 2


def test_rates_are_compared_with_the_best_of_the_sweep(scope):
    known, scores = {}, {"x10": 20.0, "x3": 35.5, "x0.333": 34.0, "x0.1": 33.0}
    for arm, seed in real_rates.sweep_runs(scope):
        known[arm.name, seed] = result(arm, seed, scores.get(arm.name.rpartition("_")[2], 35.0))
    find = lambda arm, seed: known.get((arm.name, seed))  # noqa: E731
    assert real_rates.best_rate(scope, SMALL, find) == 3.0
    for arm, seed in real_rates.rate_runs(scope, find):
        known.setdefault((arm.name, seed), result(arm, seed, 35.45, lost=1000 if "x10" in arm.name else 0))
    assert real_rates.rates(scope, find).missed == ["rate x10: 4 runs lost more than their warm-up"]


def test_run_that_is_not_stopped_is_a_miss(scope):
    known = {(arm.name, seed): result(arm, seed, 35.0) for arm, seed in real_stops.flat_runs(scope)}
    table = real_stops.flat(scope, lambda arm, seed: known.get((arm.name, seed)))
    assert table.missed == ["flat: 0 of 6 stopped by 60%"]
    assert "MISS" in str(table)
