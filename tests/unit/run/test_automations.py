"""Automations of an option file: which are active, and their fallbacks when disabled."""

import math
from pathlib import Path

import pytest

from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import RunStarted
from traiNNer.engine.control.knobs import GRAD_CLIP, LR_FACTOR
from traiNNer.errors import ConfigError
from traiNNer.registry import AUTOMATIONS
from traiNNer.run.automations import build_automations, build_knobs, chosen_automations, ordered_changes, own_best
from traiNNer.run.build import build_losses

NANO = Path(__file__).parents[3] / "options/train/2x_paragonsr2_automations.yml"
CLIPPING = "train.training_automations.AdaptiveGradientClipping"
BALANCE = "train.dynamic_loss_scheduling"


@pytest.fixture
def load():
    return lambda *changes: load_options(NANO, TrainOptions, changes).options


@pytest.fixture
def registered(monkeypatch):
    """Let a test register automations that are removed afterwards."""
    monkeypatch.setattr(AUTOMATIONS, "_components", dict(AUTOMATIONS._components))
    return AUTOMATIONS


@pytest.mark.parametrize("threshold", [0.7, None])
@pytest.mark.parametrize("clips", [True, False])
def test_clipping_that_disables_itself_leaves_its_fallback(load, threshold, clips):
    fallback = f"{CLIPPING}.fallback={{threshold: {threshold or '~'}}}"
    both = (f"train.grad_clip={str(clips).lower()}", "train.grad_clip_max_norm=2.5", fallback)
    knobs = build_knobs(load(*both, f"{CLIPPING}.enabled=false"))
    limit = (threshold or 2.5) if clips else math.inf
    assert (knobs[GRAD_CLIP].value, knobs[GRAD_CLIP].fallback) == (limit, limit)
    for others in ("train.training_automations.enabled=false", f"{CLIPPING}.enabled=true"):
        assert build_knobs(load(*both, others))[GRAD_CLIP].value == (2.5 if clips else math.inf)


def test_plugin_automation_side_effects_count(load, registered):
    @registered.register
    class Slower(Automation):
        def __init__(self, factor: float = 0.5) -> None: ...

        @classmethod
        def knobs_when_disabled(cls, options):
            return {LR_FACTOR: options.factor}

    at = "train.training_automations.slower"
    assert build_knobs(load(f"{at}.enabled=false"))[LR_FACTOR].at() == 0.5
    assert build_knobs(load(f"{at}.factor=0.25"))[LR_FACTOR].at() == 1.0


def test_loss_balancing_has_its_own_switch(load):
    alone = load("train.training_automations.enabled=false", f"{BALANCE}={{enabled: true, auto_calibrate: false}}")
    (name,) = chosen_automations(alone)
    assert name == "DynamicLossScheduling"
    assert build_automations(alone)[name].auto_calibrate is False
    for off in (f"{BALANCE}={{}}", f"{BALANCE}=~", f"{BALANCE}.enabled=false"):
        assert name not in chosen_automations(load("train.training_automations.enabled=true", off))


def test_best_weights_of_a_watched_set_are_kept(load, registered):
    @registered.register
    class Watching(Automation):
        def __init__(self, score: str) -> None: ...

        @classmethod
        def watched_scores(cls, options):
            return (options.score, "val/psnr", "set5/unknown")

    at = "train.training_automations"
    options = load("datasets.val.name=set5", f"{at}.watching={{score: set5/ssim}}")
    assert own_best(options) == {"set5/ssim": "higher"}
    stopping = load("datasets.val.name=set5", f"{at}.IntelligentEarlyStopping.monitor_metric=set5/psnr")
    assert own_best(stopping) == {"set5/psnr": "higher"}


def test_plugin_automation_must_be_an_automation(load, registered):
    registered.register(object, name="NoAutomation")
    with pytest.raises(ConfigError, match=r"NoAutomation: must be derived from traiNNer\.engine\.control\.automation"):
        build_automations(load("train.training_automations.NoAutomation={}"))


def test_every_learner_has_a_gradient_limit(load):
    gan = ("network_d={type: dunet}", "train.optim_d={type: Adam, lr: 1e-4}", "train.losses=[{type: ganloss}]")
    one, two = build_automations(load()), build_automations(load(*gan, "train.dynamic_loss_scheduling.enabled=false"))
    added = "AdaptiveGradientClipping (net_d)"
    assert set(two) - {added} == set(one) - {"DynamicLossScheduling"}
    assert two[added].state_dict() == two["AdaptiveGradientClipping"].state_dict()
    places = list(two)
    assert places.index(added) == places.index("AdaptiveGradientClipping") + 1


def test_changes_that_the_file_orders_are_told_to_automations(load):
    growth = "[{lq_size: 8, until: 40}, {lq_size: 16, until: 70}]"
    losses = "[{type: L1Loss, stop_iter: 85}, {type: MSELoss, luma: true, start_iter: 85}]"
    changes = (f"datasets.train.crop_growth={growth}", "datasets.train.lq_size=24", f"train.losses={losses}")
    options = load(*changes)
    changes = ordered_changes(options, build_losses(options))
    assert [(c.iteration, c.knob, c.old, c.new) for c in changes] == [
        (40, "crop_size", 8, 16),
        (70, "crop_size", 16, 24),
        (85, "loss_weight.l1loss", 1.0, 0.0),
        (85, "loss_weight.mseloss", 0.0, 1.0),
    ]
    run = RunStarted(100, 8, changes=changes)
    assert run.largest_crops_from == 70
    assert [run.is_active("l1loss", at) for at in (1, 85, 86)] == [True, True, False]
    assert [run.is_active("mseloss", at) for at in (1, 85, 86)] == [False, False, True]
    assert run.is_active("another", 1)
