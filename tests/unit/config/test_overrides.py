import pytest

from traiNNer.config.overrides import OverrideError, parse_key


def test_values_are_typed_like_the_file(load, base, options_of):
    loaded = load(
        base,
        "train.total_iter=200",
        "train.losses[0].loss_weight=2",
        "losses[1].eps=1e-2",
        "train.optim_g.lr=2e-4",
        "train.optim_g.betas=[0.5, 0.9]",
        "use_amp=true",
        "logger.print_freq=7",
        "name=with space",
        "train.val.val_freq=9",
        "val.metrics.ssim={better: higher}",
        "train.training_automations.IntelligentEarlyStopping.patience=77",
        "train.scheduler={type: MultiStepLR, milestones: [5]}",
    )
    options = loaded.options
    assert options.train.total_iter == 200
    assert [loss.loss_weight for loss in options.train.losses] == [2.0, 1.0]
    assert options.train.losses[1].options.eps == 1e-2
    assert options.train.optim_g.options.lr == 2e-4
    assert options.train.optim_g.options.betas == (0.5, 0.9)
    assert (options.use_amp, options.logger.print_freq, options.name) == (True, 7, "with space")
    assert options.val.val_freq == 9
    assert options.val.metrics["ssim"].better == "higher"
    assert options_of(loaded, "IntelligentEarlyStopping").patience == 77
    assert options.train.scheduler.options.milestones == (5,)


@pytest.mark.parametrize("written", ["IntelligentEarlyStopping", "intelligent_early_stopping"])
@pytest.mark.parametrize("spelling", ["IntelligentEarlyStopping", "intelligent_early_stopping"])
@pytest.mark.parametrize("home", ["train.training_automations", "training_automations"])
def test_automations_in_either_spelling(load, base, options_of, written, spelling, home):
    text = f"{base}training_automations:\n  {written}: {{patience: 5, min_epochs: 3}}\n"
    loaded = load(text, f"{home}.{spelling}.patience=77", f"{home}.{spelling}.fallback.early_stopping=true")
    options = options_of(loaded, "IntelligentEarlyStopping")
    assert (options.patience, options.min_epochs, options.fallback.early_stopping) == (77, 3, True)
    assert loaded.sources["train.training_automations.IntelligentEarlyStopping.patience"] == "--set"
    assert load(base, f"{home}.{spelling}.patience=7").options.train.training_automations.automations


@pytest.mark.parametrize(
    "written", ["train.dynamic_loss_scheduling", "train.training_automations.DynamicLossScheduling"]
)
def test_loss_scheduling_in_either_place(load, base, written):
    text = f"{base}training_automations:\n  dynamic_loss_scheduling: {{enabled: true}}\n"
    section = load(text, f"{written}.auto_calibrate=false").options.train.training_automations
    assert section.active()["DynamicLossScheduling"].options.auto_calibrate is False
    whole = load(base, "training_automations={DynamicLossScheduling: {enabled: true}, intelligentearlystopping: {}}")
    section = whole.options.train.training_automations
    assert set(section.automations) == {"DynamicLossScheduling", "IntelligentEarlyStopping"}
    assert list(section.active()) == ["DynamicLossScheduling"], "the switch of the others is off"


def test_last_override_wins_and_replaces_lists(load, base):
    options = load(base, "losses=[{type: l1loss}]", "scale=4", "scale=2").options
    assert len(options.train.losses) == 1
    assert options.scale == 2


WRONG = {
    "train.total_iter": ("--set train.total_iter", "write key=value"),
    "=3": ("--set =3", "is not a key"),
    "train..x=3": ("--set train..x=3", "is not a key"),
    "train.losses[x].type=l1loss": ("--set train.losses[x].type=l1loss", "is not a key"),
    "train.losses[2].type=l1loss": ("--set train.losses[2].type=l1loss", "train.losses has 2 items, counted from 0"),
    "train.losses.type=l1loss": ("--set train.losses.type=l1loss", "train.losses is a list: write an index"),
    "scale.x=1": ("--set scale.x=1", "scale is a value, not a section"),
    "train[0]=1": ("--set train[0]=1", "train is not a list"),
    "name=[a": ("--set name=[a", "bracket"),
    "name=!!python/name:os.system": ("--set name=!!python/name:os.system", "tag !!python/name:os.system"),
    "train.total_iter=012": ("--set train.total_iter=012", "ambiguous"),
    "train.totl_iter=3": ("--set train.totl_iter", "did you mean 'total_iter'?"),
    "train.total_iter=x": ("--set train.total_iter", "must be a whole number"),
    "train.losses[0].loss_weigt=3": ("--set train.losses[0].loss_weigt", "did you mean 'loss_weight'?"),
    "network_g.dim=0": ("--set network_g.dim", "must be greater than 0"),
    "name=../x": ("--set name", '"../x" is not allowed.'),
}


@pytest.mark.parametrize(("text", "key", "words"), [(text, *rest) for text, rest in WRONG.items()])
def test_wrong_overrides_name_the_command_line(problems, base, text, key, words):
    ((line, found, message),) = problems(base, text)
    assert (line, found) == (None, key)
    assert words in message


def test_keys():
    assert parse_key("train.losses[1].type") == ("train", "losses", 1, "type")
    assert parse_key("a[0][12]") == ("a", 0, 12)
    with pytest.raises(OverrideError):
        parse_key("a[0]b")
