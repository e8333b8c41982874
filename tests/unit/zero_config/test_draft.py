"""Decisions with reasons, and the user's values above them."""

import pytest
import yaml

import traiNNer.run.build  # noqa: F401 - registers every component
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError
from traiNNer.zero_config.draft import Draft
from traiNNer.zero_config.presets import preset_values

# The example of the user, with `val` under `train`.
DOCUMENT = {
    "train": {
        "total_iter": 100000,
        "optim_g": {"lr": 5e-5},
        "training_automations": {
            "IntelligentEarlyStopping": {"patience": 8000, "min_improvement": 0.0002},
            "IntelligentLearningRateScheduler": {"plateau_patience": 3000, "min_lr_factor": 0.7},
        },
        "val": {"val_freq": 200},
    }
}


def draft(overrides=None, preset="convenience") -> Draft:
    made = Draft(overrides)
    made.decide("name", "run", "its folder")
    made.decide("scale", 2, "from the sizes")
    for section in ("train", "val"):
        made.decide(f"datasets.{section}.type", "PairedImageDataset")
        made.decide(f"datasets.{section}.dataroot_gt", "photos  # not a comment", "yours")
        made.decide(f"datasets.{section}.dataroot_lq", "lr")
    made.decide("datasets.train.lq_size", 48)
    made.decide("network_g.type", "paragonsr2_nano")
    made.decide("train.optim_g.type", "AdamW")
    made.decide("train.losses", [{"type": "L1Loss", "loss_weight": 1.0}])
    for key, (value, reason) in preset_values(preset).items():
        made.decide(key, value, reason)
    made.decide("val.metrics.psnr", {})
    return made


def test_decisions_load_like_a_file():
    options = draft().checked().options
    assert isinstance(options, TrainOptions)
    assert options.train.total_iter == 40_000
    assert options.datasets["train"].options.dataroot_gt == "photos  # not a comment"


def test_yaml_round_trips_with_reasons(tmp_path):
    made = draft(DOCUMENT)
    text = made.yaml()
    assert yaml.safe_load(text) == made.tree()
    assert "scale: 2                                      # from the sizes\n" in text
    lr = next(line for line in text.splitlines() if line.strip().startswith("lr:"))
    assert lr.endswith("# yours")


def test_documented_overrides_give_the_named_values():
    tree = draft(DOCUMENT, "fidelity").tree()
    automations = tree["train"]["training_automations"]
    assert tree["train"]["total_iter"] == 100_000
    assert tree["train"]["optim_g"]["lr"] == 5e-5
    assert automations["IntelligentEarlyStopping"]["patience"] == 8000
    assert automations["IntelligentEarlyStopping"]["min_improvement"] == 0.0002
    assert automations["IntelligentLearningRateScheduler"]["plateau_patience"] == 3000
    assert automations["IntelligentLearningRateScheduler"]["min_lr_factor"] == 0.7
    assert tree["val"]["val_freq"] == 200
    assert "val" not in tree["train"]
    # Values not named in the document are unchanged.
    assert tree["train"]["warmup_iter"] == 2000
    assert automations["IntelligentLearningRateScheduler"]["improvement_threshold"] == 0.0005


def test_decisions_never_replace_user_values():
    made = draft({"train": {"optim_g": {"lr": 1e-3}}})
    made.decide("train.optim_g.lr", 4e-3, "measured")
    assert made.tree()["train"]["optim_g"]["lr"] == 1e-3
    assert made.value("train.optim_g.lr") == 1e-3


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("train.optim_g.lr", True),
        ("train.optim_g.weight_decay", False),
        ("train.training_automations.IntelligentEarlyStopping.patience", True),
        ("train.training_automations.IntelligentEarlyStopping.preset", False),
        ("val.val_freq", True),
        ("scale", False),
        ("train.scheduler.eta_min", True),
    ],
)
def test_given_keys_are_known(key, given):
    overrides = {
        "train": {
            "optim_g": {"lr": 1e-3},
            "val": {"val_freq": 200},
            "training_automations": {"intelligent_early_stopping": {"patience": 9}},
            "scheduler": None,
        }
    }
    assert draft(overrides).is_given(key) is given


def test_automation_is_found_under_any_spelling():
    tree = draft({"training_automations": {"intelligent_early_stopping": {"patience": 9000}}}).tree()
    automations = tree["train"]["training_automations"]
    assert automations["IntelligentEarlyStopping"]["patience"] == 9000
    assert "intelligent_early_stopping" not in automations


def test_another_component_keeps_no_options_of_the_chosen_one():
    schedule = {"type": "MultiStepLR", "milestones": [9]}
    made = draft({"train": {"optim_g": {"type": "SGD", "lr": 0.1}, "scheduler": schedule}})
    made.decide("train.scheduler.type", "CosineAnnealingLR")
    made.decide("train.scheduler.eta_min", 1e-7)
    options = made.checked().options
    assert options.train.optim_g.type.lower() == "sgd"
    assert options.train.optim_g.options.weight_decay == 0
    assert options.train.scheduler.options.milestones == (9,)


def test_none_resets_to_the_default():
    tree = draft({"train": {"optim_g": {"weight_decay": None}}}).tree()
    assert "weight_decay" not in tree["train"]["optim_g"]


def test_lists_replace():
    tree = draft({"train": {"losses": [{"type": "MSELoss"}]}}).tree()
    assert tree["train"]["losses"] == [{"type": "MSELoss"}]


def test_unknown_keys_are_reported_together_as_in_a_file():
    with pytest.raises(ConfigError) as caught:
        draft({"train": {"total_itr": 5, "optim_g": {"lr": "fast"}}, "sclae": 3, "val": {"val_freq": 0}}).checked()
    text = str(caught.value)
    assert text.startswith("custom_overrides: 4 problems")
    assert "train.total_itr = 5" in text
    assert "unknown option; did you mean 'total_iter'?" in text
    assert "did you mean 'scale'?" in text


def test_duplicate_path_is_refused():
    with pytest.raises(ConfigError, match=r"train\.val +also written as val"):
        Draft({"train": {"val": {"val_freq": 3}}, "val": {"val_freq": 1}})


def test_overrides_are_not_modified():
    overrides = {"train": {"val": {"val_freq": 200}}}
    draft(overrides).checked()
    assert overrides == {"train": {"val": {"val_freq": 200}}}
