from typing import ClassVar

import pytest

from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionRules, OptionWarning
from traiNNer.registry import AUTOMATIONS, StrictOptions

AT = "train.training_automations"
STOP, BATCH = "IntelligentEarlyStopping", "DynamicBatchSizeOptimizer"


@pytest.fixture
def automated(base):
    def build(*lines, enabled=True, before=""):
        section = f"  training_automations:\n    enabled: {str(enabled).lower()}\n"
        section += "".join(f"    {line}\n" for line in lines)
        return base.replace("  total_iter: 100\n", f"  total_iter: 100\n{before}{section}", 1)

    return build


RULES = {
    "batch bounds": (
        f"{BATCH}: {{min_batch_size: 9, max_batch_size: 8}}",
        (f"{AT}.{BATCH}.max_batch_size", "must be at least min_batch_size, which is 9"),
    ),
    "batch minimum above the default maximum": (
        f"{BATCH}: {{min_batch_size: 33}}",
        (f"{AT}.{BATCH}.min_batch_size", "must be at most max_batch_size, which is 32"),
    ),
    "clipping bounds": (
        "AdaptiveGradientClipping: {min_threshold: 2, max_threshold: 1.5}",
        (f"{AT}.AdaptiveGradientClipping.max_threshold", "must be at least min_threshold, which is 2"),
    ),
    "hard stop before the soft one": (
        f"{STOP}: {{patience: 2000, max_no_improvement: 1999}}",
        (f"{AT}.{STOP}.max_no_improvement", "must be at least patience, which is 2000"),
    ),
    "nothing to watch": (
        "intelligent_learning_rate_scheduler: {monitor_loss: false, monitor_validation: false}",
        (
            f"{AT}.intelligent_learning_rate_scheduler.monitor_validation",
            "monitor_loss is off too; one of them must be on",
        ),
    ),
    "factor out of range": (
        "IntelligentLearningRateScheduler: {min_lr_factor: 1.5}",
        (f"{AT}.IntelligentLearningRateScheduler.min_lr_factor", "must be at most 1"),
    ),
}


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(("line", "problem"), RULES.values(), ids=RULES)
def test_rules_hold_with_automations_on_or_off(problems, automated, line, problem, enabled):
    assert problems(automated(line, enabled=enabled)) == [(19, *problem)]


@pytest.mark.parametrize("metric", ["val/psnr", "val/ssim", "set5/psnr", "val_b/ssim", "val/lpips", "train/psnr"])
def test_early_stopping_needs_a_computed_metric(load, problems, automated, options_of, metric):
    text = automated(f"{STOP}: {{monitor_metric: {metric}}}").replace("    psnr: {}", "    psnr: {}\n    ssim: {}")
    more = "    name: set5\n  val_b: {type: PairedImageDataset, dataroot_lq: x}\n"
    text = text.replace("    dataroot_lq: val/lr\n", f"    dataroot_lq: val/lr\n{more}")
    if metric in ("val/lpips", "train/psnr"):
        ((line, key, message),) = problems(text)
        assert (line, key) == (21, f"{AT}.{STOP}.monitor_metric")
        assert message.startswith(f"validation does not compute {metric}")
        known = "val/psnr, val/ssim, set5/psnr, set5/ssim, val_b/psnr, val_b/ssim"
        assert message.endswith(f"   known: {known}")
    else:
        assert options_of(load(text), STOP).monitor_metric == metric


def test_early_stopping_needs_validation(load, problems, automated):
    text = automated(f"{STOP}: {{patience: 5}}").replace("  val_freq", "  val_enabled: false\n  val_freq")
    assert problems(text) == [(19, f"{AT}.{STOP}.enabled", "needs validation: val.val_enabled is false")]
    assert load(text.replace("enabled: true\n    Intel", "enabled: false\n    Intel")).warnings == ()
    assert load(text.replace("{patience", "{enabled: false, patience")).options
    no_metrics = automated(f"{STOP}: {{}}").replace("  val_freq", "  metrics_enabled: false\n  val_freq")
    ((_, _, message),) = problems(no_metrics)
    assert message.endswith("known: none (add val.metrics, with val.metrics_enabled on)")


def test_valid_automations_give_no_warning(load, automated, base):
    scheduling = base.replace("  total_iter", "  dynamic_loss_scheduling: {enabled: true}\n  total_iter", 1)
    assert load(automated(f"{STOP}: {{}}")).warnings == ()
    assert load(automated(f"{STOP}: {{}}", enabled=False)).warnings == ()
    assert load(scheduling).warnings == ()
    assert load(base).warnings == ()


@pytest.mark.parametrize(("size", "warned"), [(8, False), (4, False), (3, True), (9, True)])
def test_batch_size_outside_the_bounds_warns(load, automated, size, warned):
    text = automated(f"{BATCH}: {{min_batch_size: 4, max_batch_size: 8}}")
    found = load(text, f"datasets.train.batch_size_per_gpu={size}").warnings
    words = f"datasets.train.batch_size_per_gpu = {size} is outside DynamicBatchSizeOptimizer's 4 to 8: clamped"
    assert found == ((words,) if warned else ())


@pytest.mark.parametrize("clip", [True, False])
def test_disabled_clipping_warns(load, automated, clip):
    text = automated("AdaptiveGradientClipping: {}", before=f"  grad_clip: {str(clip).lower()}\n")
    words = "train.grad_clip is false: AdaptiveGradientClipping can only observe, never clip"
    assert load(text).warnings == (() if clip else (words,))


@pytest.mark.parametrize(("t_max", "warned"), [(100, False), (99, True)])
def test_fallback_schedule_of_another_length_warns(load, automated, t_max, warned):
    text = automated(f"IntelligentLearningRateScheduler: {{fallback: {{scheduler_params: {{T_max: {t_max}}}}}}}")
    at = f"{AT}.IntelligentLearningRateScheduler.fallback.scheduler_params.T_max"
    words = f"{at} = 99 is not train.total_iter; 100 is used"
    assert load(text).warnings == ((words,) if warned else ())
    scheduled = load(text, "train.scheduler={type: MultiStepLR, milestones: [5]}")
    assert scheduled.warnings == ()


@pytest.mark.parametrize(("patience", "warned"), [(249, True), (250, False), (2000, False)])
def test_patience_of_few_validations_warns(load, automated, patience, warned):
    text = automated(f"{STOP}: {{patience: {patience}}}")
    words = f"IntelligentEarlyStopping.patience = {patience} is below 5 validations: 250 is used"
    assert load(text).warnings == ((words,) if warned else ())
    assert load(text.replace("{patience", "{enabled: false, patience")).warnings == ()
    assert load(text, "train.training_automations.enabled=false").warnings == ()


def test_patience_equal_to_the_hard_limit_is_valid(load, automated):
    assert load(automated(f"{STOP}: {{patience: 2000, max_no_improvement: 2000}}")).warnings == ()


@pytest.mark.parametrize(("warmup", "warned"), [(1000, False), (1001, True)])
def test_warmup_longer_than_in_early_stopping_warns(load, automated, warmup, warned):
    text = automated(f"{STOP}: {{}}", before=f"  warmup_iter: {warmup}\n")
    words = f"IntelligentEarlyStopping.warmup_iterations = 1000 is below train.warmup_iter: {warmup} is used"
    assert load(text.replace("total_iter: 100\n", "total_iter: 9000\n")).warnings == ((words,) if warned else ())


NO_VALIDATION = {
    "off": ("val.val_enabled=false", "monitor_validation alone needs validation: val.val_enabled is false"),
    "no metrics": (
        "val.metrics={}",
        "monitor_validation alone needs a metric: add val.metrics, with val.metrics_enabled on",
    ),
    "metrics off": (
        "val.metrics_enabled=false",
        "monitor_validation alone needs a metric: add val.metrics, with val.metrics_enabled on",
    ),
}


@pytest.mark.parametrize(("change", "message"), NO_VALIDATION.values(), ids=NO_VALIDATION)
def test_validation_watched_alone_must_exist(load, problems, automated, change, message):
    rate = "intelligent_learning_rate_scheduler"
    alone = automated(f"{rate}: {{monitor_loss: false}}")
    assert problems(alone, change) == [(19, f"{AT}.{rate}.monitor_loss", message)]
    assert load(alone).warnings == ()
    assert load(alone.replace("    enabled: true\n", "    enabled: false\n"), change).warnings == ()
    assert load(automated(f"{rate}: {{}}"), change).warnings == (), "beside the loss it is only a veto"


FOREIGN = [
    "momentum",
    "adaptation_rate",
    "min_weight",
    "max_weight",
    "adaptation_threshold",
    "baseline_iterations",
]


@pytest.mark.parametrize("key", FOREIGN)
@pytest.mark.parametrize("inside", [True, False])
def test_options_of_continually_moving_weights_are_explained(problems, automated, base, key, inside):
    line = f"dynamic_loss_scheduling: {{enabled: true, {key}: 0.5}}"
    text = automated(line) if inside else base.replace("  total_iter", f"  {line}\n  total_iter", 1)
    at = AT if inside else "train"
    words = "has no counterpart: weights are calibrated once, by auto_calibrate, and then stay"
    assert problems(text) == [(19 if inside else 16, f"{at}.dynamic_loss_scheduling.{key}", words)]


def test_raises_of_the_learning_rate_are_explained(problems, automated):
    ((_, key, message),) = problems(automated("IntelligentLearningRateScheduler: {raise_factor: 1.25}"))
    assert key.endswith("IntelligentLearningRateScheduler.raise_factor")
    assert message == "has no counterpart: the learning rate is never raised; give a higher train.optim_g.lr"


def test_other_unknown_options_of_loss_scheduling_name_the_nearest(problems, automated):
    ((_, _, message),) = problems(automated("DynamicLossScheduling: {auto_calibrat: true}"))
    assert message == "unknown option; did you mean 'auto_calibrate'?"


def test_thresholds_in_db_for_another_metric_warn(load, automated, base):
    text = automated(f"{STOP}: {{patience: 2000, monitor_metric: val/ssim}}").replace("psnr: {}", "ssim: {}")
    warnings = [text for text in load(text).warnings if "are in dB" in text]
    assert warnings == [
        "IntelligentEarlyStopping: the defaults of min_improvement, improvement_threshold, min_projected_gain are in "
        "dB; give values in units of val/ssim"
    ]
    given = "min_improvement: 1e-4, improvement_threshold: 1e-4, min_projected_gain: 1e-3, "
    assert not [one for one in load(text.replace("{patience", f"{{{given}patience")).warnings if "are in dB" in one]


class Limits(StrictOptions):
    """A section inside the one of an automation."""

    low: int = 1
    high: int = 9


LIMITS = Limits()


class Picky(OptionRules):
    """A plugin automation with its own rules."""

    foreign_options: ClassVar = {"speed": "is called pace here"}
    foreign_names: ClassVar = {"Fussy": "is not part of traiNNer; use Picky"}
    seen: ClassVar[list] = []

    def __init__(self, pace: int, limits: Limits = LIMITS) -> None: ...

    @classmethod
    def check_options(cls, options, facts):
        cls.seen.append((options, facts))
        if options.limits is not None and options.limits.low == 7:
            yield OptionProblem("limits.low", "must not be 7")
        yield OptionWarning(" is looked at", "limits.low")
        yield OptionWarning("a warning of its own")


@pytest.fixture
def picky():
    """Register an automation with its own rules."""
    AUTOMATIONS.register(Picky, name="Picky")
    Picky.seen.clear()
    return Picky


def test_automation_rules_get_the_valid_options(load, problems, automated, picky):
    at = f"{AT}.picky"
    assert problems(automated("picky: {pace: 3, limits: {low: 7}}")) == [(19, f"{at}.limits.low", "must not be 7")]
    loaded = load(automated("picky: {pace: 3, limits: {low: 6}}"))
    assert loaded.warnings == (f"{at}.limits.low is looked at", "a warning of its own")
    assert problems(automated("picky: {pace: x, limits: {low: 7}}")) == [
        (19, f"{at}.pace", "must be a whole number"),
        (19, f"{at}.limits.low", "must not be 7"),
    ]
    (good, facts), (bad, _) = picky.seen[-2:]
    assert (good.pace, good.limits.low, good.limits.high) == (3, 6, 9)
    assert (bad.pace, bad.model_fields_set, bad.limits.model_fields_set) == (None, {"pace", "limits"}, {"low"})
    assert facts == OptionFacts(True, 100, 0, 8, False, False, True, 50, ("val/psnr",))


def test_rules_do_not_see_invalid_options(problems, automated, picky):
    text = automated("picky: {pace: 1}", enabled=False, before="  warmup_iter: x\n  grad_clip: 3\n")
    problems(text.replace("val_freq: 50", "val_freq: -1"))
    ((_, facts),) = picky.seen
    assert facts == OptionFacts(False, 100, None, 8, None, False, True, None, None)


def test_foreign_names_and_options_get_the_automation_hint(problems, automated, picky):
    assert problems(automated("picky: {pace: 1, speed: 3}")) == [(19, f"{AT}.picky.speed", "is called pace here")]
    assert problems(automated("fussy: {}")) == [(19, f"{AT}.fussy", "is not part of traiNNer; use Picky")]
