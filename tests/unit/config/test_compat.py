import textwrap
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from traiNNer.config.compat import SCALES
from traiNNer.registry import AUTOMATIONS


def automations(base, text):
    """Return the base file with automations under train.training_automations (line 17 and on)."""
    section = textwrap.indent(f"training_automations:\n{textwrap.indent(textwrap.dedent(text), '  ')}", "  ")
    return base.replace("  total_iter: 100\n", f"  total_iter: 100\n{section}", 1)


def test_losses_at_the_top_level(load, base):
    losses = base[base.index("  losses:") : base.index("val:\n  val_freq")]
    text = base.replace(losses, "") + textwrap.dedent(losses)
    assert load(text).options == load(base).options
    assert load(text).sources["train.losses[0].type"] == "file line 23"


def test_spellings_are_listed_by_a_check_only(load, base):
    losses, val = base[base.index("  losses:") : base.index("val:\n  val_freq")], base[base.index("val:\n  val_freq") :]
    val = textwrap.indent(val.replace("psnr: {}", "psnr: {type: calculate_psnr, test_y_channel: true}"), "  ")
    train = base[: base.index("  losses:")].replace("type: TinyNet", "type: TinyNet\n  scale: 2")
    text = f"{train}  ema_decay: 0.9\n{val}{textwrap.dedent(losses)}"
    loaded = load(text)
    assert loaded.notices(check=False) == []
    assert loaded.notices(check=True) == [
        "losses (line 24): read as train.losses",
        "train.val (line 20): read as val",
        "network_g.scale (line 15): scale at the top level says it",
        "train.val.metrics.psnr.type (line 23): read as psnr",
    ]


def test_losses_in_both_places(problems, base):
    assert problems(f"{base}losses: [{{type: L1Loss}}]\n") == [
        (26, "losses", "also written as train.losses (line 18); keep one")
    ]


def test_val_inside_train(load, problems, base):
    val = base[base.index("val:\n  val_freq") :]
    moved = base.replace(val, textwrap.indent(val, "  "))
    assert load(moved).options == load(base).options
    assert problems(f"{moved}val: {{val_freq: 5}}\n") == [(22, "train.val", "also written as val (line 26); keep one")]
    ((line, key, message),) = problems(moved.replace("val_freq", "val_frq"))
    assert (line, key, message) == (23, "train.val.val_frq", "unknown option; did you mean 'val_freq'?")


@pytest.mark.parametrize("key", SCALES)
def test_repeated_scale(load, problems, base, key):
    assert load(base.replace("type: TinyNet", f"type: TinyNet\n  {key}: 2")).options == load(base).options
    assert problems(base.replace("type: TinyNet", f"type: TinyNet\n  {key}: 4")) == [
        (15, f"network_g.{key}", "differs from scale = 2 (line 2); state it once, at the top level")
    ]


def test_validation_crops_are_ignored_with_one_warning(load, base):
    keys = ("lq_size", "gt_size", "batch_size_per_gpu", "use_hflip", "use_rot", "accum_iter", "dataset_enlarge_ratio")
    extra = "".join(f"    {key}: 3\n" for key in keys)
    second = "  val_b:\n    type: PairedImageDataset\n    dataroot_lq: x\n    lq_size: 9\n"
    loaded = load(base.replace("    dataroot_lq: val/lr\n", f"    dataroot_lq: val/lr\n{extra}{second}"))
    assert len(loaded.warnings) == 1
    assert all(key in loaded.warnings[0] for key in keys)
    assert loaded.options.datasets["val"] == load(base).options.datasets["val"]
    assert loaded.options.datasets["val_b"].options.lq_size is None


def test_reading_options_of_a_validation_set_are_said_to_have_no_effect(load, base):
    extra = "    num_worker_per_gpu: 6\n    pin_memory: false\n    strict: true\n"
    loaded = load(base.replace("    dataroot_lq: val/lr\n", f"    dataroot_lq: val/lr\n{extra}"))
    assert loaded.warnings == (
        "no effect in validation, where all images are taken whole and in turn "
        "(datasets.val: num_worker_per_gpu, pin_memory, strict)",
    )
    trained = load(base.replace("    lq_size: 48\n", f"    lq_size: 48\n{extra}"))
    assert trained.warnings == ()
    assert trained.options.datasets["train"].num_worker_per_gpu == 6


@pytest.mark.parametrize(
    "metric",
    [
        "psnr: {}",
        "psnr: {type: calculate_psnr}",
        "calculate_psnr:",
        "any: {type: PSNR}",
        "p: {type: Calculate_PSNR}",
    ],
)
def test_metrics_with_and_without_type(load, base, metric):
    metrics = load(base.replace("psnr: {}", metric)).options.val.metrics
    assert [choice.type for choice in metrics.values()] == ["psnr"]


@pytest.mark.parametrize("spelling", ["TinyNet", "tinynet", "TINYNET", "tiny_net"])
def test_type_names_in_any_letter_case(load, base, spelling):
    assert load(base.replace("TinyNet", spelling)).options.network_g.type == "tinynet"


def test_home_folders(load, base):
    text = base.replace("lq_size: 48", "lq_size: 48\n    meta_info: ~/list.txt")
    text = text.replace("data/hr", "~/hr").replace("val/hr", "[~/a, b~/c]") + "path: {pretrain_network_g: ~/w.pth}\n"
    text = text.replace("type: L1Loss", "{type: PerceptualLoss, weights: ~/vgg.pth}").replace(
        "name: run", 'name: "run"'
    )
    options = load(text).options
    home = str(Path.home())
    assert options.datasets["train"].options.dataroot_gt == str(Path(home, "hr"))
    assert options.datasets["train"].options.meta_info == str(Path(home, "list.txt"))
    assert options.datasets["val"].options.dataroot_gt == (str(Path(home, "a")), "b~/c")
    assert options.path.pretrain_network_g == str(Path(home, "w.pth"))
    assert options.train.losses[0].options.weights == str(Path(home, "vgg.pth"))


def test_home_folders_of_weights_that_are_looked_through(load, base):
    text = base.replace("type: L1Loss", "{type: DISTSLoss, weights: ~/vgg.pth, dists_weights: ~/d.pt}")
    text = text.replace("psnr: {}", "lpips: {weights: ~/alex.pth}")
    options = load(text).options
    loss = options.train.losses[0].options
    home = Path.home()
    assert (loss.weights, loss.dists_weights) == (str(home / "vgg.pth"), str(home / "d.pt"))
    assert options.val.metrics["lpips"].options.weights == str(home / "alex.pth")


SPELLINGS = [
    "IntelligentEarlyStopping",
    "intelligent_early_stopping",
    "intelligentearlystopping",
    "Intelligent_Early_STOPPING",
]


@pytest.mark.parametrize("name", SPELLINGS)
def test_automation_sections_in_every_spelling(load, base, options_of, name):
    loaded = load(automations(base, f"{name}: {{patience: 5}}\n"))
    assert list(loaded.options.train.training_automations.automations) == ["IntelligentEarlyStopping"]
    assert options_of(loaded, "IntelligentEarlyStopping").patience == 5
    assert loaded.sources["train.training_automations.IntelligentEarlyStopping.patience"] == "file line 18"
    assert load(loaded.effective()).options == loaded.options


def test_automation_in_both_spellings_at_once(problems, base):
    text = automations(base, "IntelligentEarlyStopping: {}\nintelligent_early_stopping: {}\n")
    ((line, _, message),) = problems(text)
    assert line == 19
    assert message == "also written as train.training_automations.IntelligentEarlyStopping (line 18); keep one"


UNKNOWN = {
    "IntelligentEarlyStoping": "unknown option; did you mean 'IntelligentEarlyStopping'?",
    "intelligent_early_stoping": "unknown option; did you mean 'intelligent_early_stopping'?",
    "DynamicBatchAndPatchSizeOptimizer": (
        "is not part of traiNNer; use DynamicBatchSizeOptimizer (the crop size stays)"
    ),
    "own": "unknown option",
    "automations": "unknown option",
    "enabeld": "unknown option; did you mean 'enabled'?",
}


@pytest.mark.parametrize(("name", "message"), UNKNOWN.items())
def test_unknown_automations(problems, base, name, message):
    assert problems(automations(base, f"{name}: {{}}\n")) == [(18, f"train.training_automations.{name}", message)]


def test_unknown_keys_of_automations(problems, base):
    text = automations(base, "IntelligentEarlyStopping:\n  patince: 3\n  min_lr: 1\n  patience: no\n")
    at = "train.training_automations.IntelligentEarlyStopping"
    assert problems(text) == [
        (19, f"{at}.patince", "unknown option; did you mean 'patience'?"),
        (20, f"{at}.min_lr", "unknown option"),
        (21, f"{at}.patience", "must be a whole number"),
    ]


def test_unknown_keys_inside_a_automations_fallback(problems, base):
    text = automations(base, "IntelligentEarlyStopping:\n  fallback:\n    early_stoping: true\n    threshold: 1\n")
    at = "train.training_automations.IntelligentEarlyStopping.fallback"
    assert problems(text) == [
        (20, f"{at}.early_stoping", "unknown option; did you mean 'early_stopping'?"),
        (
            21,
            f"{at}.threshold",
            "unknown option; belongs to train.training_automations.AdaptiveGradientClipping.fallback",
        ),
    ]
    wrong = automations(base, "AdaptiveGradientClipping:\n  fallback:\n    threshold: 0\n")
    ((line, _, message),) = problems(wrong)
    assert (line, message) == (20, "must be greater than 0")
    ((line, _, message),) = problems(automations(base, "DynamicBatchSizeOptimizer:\n  fallback: 8\n"))
    assert (line, message) == (19, "must be a section (keys and values)")


def test_empty_automation_section_means_defaults(load, base, options_of):
    loaded = load(automations(base, "adaptive_gradient_clipping:\nIntelligentEarlyStopping:\n  fallback:\n"))
    found = loaded.options.train.training_automations.automations
    assert {name: choice.enabled for name, choice in found.items()} == {
        "AdaptiveGradientClipping": True,
        "IntelligentEarlyStopping": True,
    }
    assert options_of(loaded, "AdaptiveGradientClipping").fallback.threshold is None
    assert options_of(loaded, "IntelligentEarlyStopping").fallback.early_stopping is False


def test_only_written_automations_are_in_the_effective_options(load, base):
    page = load(automations(base, "intelligent_early_stopping: {enabled: false}\n")).effective()
    assert "    IntelligentEarlyStopping:\n      enabled: false  # file line 18\n" in page
    assert "      preset: convenience  # default\n" in page
    assert "AdaptiveGradientClipping" not in page


@pytest.mark.parametrize("name", ["DynamicLossScheduling", "dynamic_loss_scheduling", "DYNAMICLOSSSCHEDULING"])
def test_loss_scheduling_among_the_automations(load, problems, base, name):
    text = automations(base, f"{name}: {{enabled: true, auto_calibrate: false}}\n")
    loaded = load(text)
    section = loaded.options.train.training_automations
    assert [(name, choice.options.auto_calibrate) for name, choice in section.active().items()] == [
        ("DynamicLossScheduling", False)
    ]
    assert loaded.sources["train.dynamic_loss_scheduling.auto_calibrate"] == "file line 18"
    assert load(loaded.effective()).options == loaded.options
    both = text.replace("  total_iter: 100\n", "  total_iter: 100\n  dynamic_loss_scheduling: {enabled: true}\n", 1)
    at = f"train.training_automations.{name}"
    assert problems(both) == [(19, at, "also written as train.dynamic_loss_scheduling (line 17); keep one")]
    ((_, key, message),) = problems(text.replace("auto_calibrate", "auto_calibrat"))
    assert (key, message) == (f"{at}.auto_calibrat", "unknown option; did you mean 'auto_calibrate'?")


def test_automations_run_in_file_order_with_loss_balancing_last(load, base):
    text = automations(
        base, "DynamicLossScheduling: {}\nIntelligentEarlyStopping: {}\nadaptive_gradient_clipping: {}\n"
    )
    assert list(load(text).options.train.training_automations.automations) == [
        "IntelligentEarlyStopping",
        "AdaptiveGradientClipping",
        "DynamicLossScheduling",
    ]


def test_type_inside_an_automation_must_be_its_name(load, problems, base):
    assert load(automations(base, "intelligent_early_stopping: {type: IntelligentEarlyStopping}\n"))
    text = automations(base, "IntelligentEarlyStopping: {type: AdaptiveGradientClipping}\n")
    ((line, key, message),) = problems(text)
    assert (line, key) == (18, "train.training_automations.IntelligentEarlyStopping.type")
    assert message == "must be IntelligentEarlyStopping, as its section is called, or left out"


def test_misplaced_automation_key_names_the_automation(problems, base):
    text = base.replace("  total_iter: 100\n", "  total_iter: 100\n  plateau_patience: 3\n", 1)
    assert problems(text) == [
        (17, "train.plateau_patience", "unknown option; belongs to IntelligentLearningRateScheduler")
    ]


def test_automation_switches_are_checked(problems, base):
    ((line, key, message),) = problems(automations(base, "adaptive_gradient_clipping: {enabled: 3}\n"))
    assert (line, key) == (18, "train.training_automations.adaptive_gradient_clipping.enabled")
    assert message == "must be true or false"


class MyAutomation:
    """A plugin automation."""

    def __init__(self, strength: Annotated[float, Field(gt=0)] = 0.5): ...


def test_automations_of_plugins_are_checked_against_their_signature(load, problems, base):
    AUTOMATIONS.register(MyAutomation)
    loaded = load(automations(base, "MyAutomation: {enabled: false, strength: 2}\n"))
    own = loaded.options.train.training_automations.automations["myautomation"]
    assert (own.enabled, own.plain()) == (False, {"strength": 2.0})
    assert loaded.sources["train.training_automations.myautomation.strength"] == "file line 18"
    changed = load(
        automations(base, "MyAutomation: {strength: 2}\n"), "train.training_automations.my_automation.strength=3"
    )
    assert changed.options.train.training_automations.automations["myautomation"].plain() == {"strength": 3.0}
    assert load(loaded.effective()).options == loaded.options
    assert problems(automations(base, "my_automation:\n  strength: 0\n  strenth: 1\n")) == [
        (19, "train.training_automations.my_automation.strength", "must be greater than 0"),
        (20, "train.training_automations.my_automation.strenth", "unknown option; did you mean 'strength'?"),
    ]
    ((_, _, message),) = problems(automations(base, "MyAutomaton: {}\n"))
    assert message == "unknown option; did you mean 'myautomation'?"


@pytest.mark.parametrize(
    "text",
    [
        "train: 3\nval: 4\nnetwork_g: x\ndatasets: [1]\n",
        "train: {val: 3, losses: 4, training_automations: [x]}\n",
        "losses: 3\ntrain: []\n",
        "val: {metrics: [psnr]}\nlosses: [3]\n",
        "datasets: {train: 1, val: ~}\npath: x\n",
        "train: {training_automations: {IntelligentEarlyStopping: 3, x: 4}}\nplugins: 3\n",
        "plugins: [3]\nval: {metrics: {a: 3}}\n",
    ],
)
def test_wrong_shapes_are_reported_not_raised(problems, text):
    assert problems(text)
