import pytest

from traiNNer.config.yaml.strict import load_yaml
from traiNNer.errors import ConfigError
from traiNNer.sweep import search as module
from traiNNer.sweep.axes import Axis, Range
from traiNNer.sweep.record import Trial
from traiNNer.sweep.search import Search, written
from traiNNer.traits import Requirement

AXES = [Range("lr", 1e-4, 1e-2, False), Range("n", 2, 5, True), Axis("act", ("relu", "mish"))]


def searched(count, is_lower_better=False, seed=3):
    """Return the trials of a search whose score is best at lr 1e-3."""
    import math

    search, trials = Search(AXES, seed, is_lower_better), []
    for _ in range(count):
        values = search.propose(trials)
        error = abs(math.log10(values["lr"]) + 3)
        trials.append(Trial(values=values, score=error if is_lower_better else -error))
    return trials


def test_values_lie_where_they_may():
    pytest.importorskip("optuna")
    for trial in searched(6):
        assert 1e-4 <= trial.values["lr"] <= 1e-2
        assert trial.values["n"] in (2, 3, 4, 5)
        assert trial.values["act"] in ("relu", "mish")


def test_proposal_depends_on_the_trials_alone():
    pytest.importorskip("optuna")
    trials = searched(5)
    assert searched(5) == trials
    assert Search(AXES, 3, False).propose(trials[:4]) == trials[4].values  # as after a stop


def test_failed_and_foreign_trials_are_passed_over():
    pytest.importorskip("optuna")
    foreign = [Trial(values={"lr": 1e-3}, score=1.0), Trial(values={"lr": 1e-3, "n": 2, "act": "relu"}, failed=True)]
    assert Search(AXES, 3, False).propose(foreign).keys() == {"lr", "n", "act"}


@pytest.mark.nightly
@pytest.mark.parametrize("is_lower_better", [False, True])
def test_search_finds_what_is_better(is_lower_better):
    pytest.importorskip("optuna")
    late = searched(40, is_lower_better)[25:]
    assert sum(abs(trial.score) < 0.3 for trial in late) > len(late) / 2


def test_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(module, "OPTUNA", Requirement("no_such_package", "pip install optuna"))
    with pytest.raises(ConfigError, match=r"--trials needs the package no-such-package.*pip install optuna"):
        Search(AXES, 0, False)


@pytest.mark.parametrize("value", [1e-4, 3.25, 0.0, 7, "relu", 1.0])
def test_values_are_written_as_yaml_reads_them(value):
    found = load_yaml(f"a: {written(value)}", "x").root.plain()["a"]
    assert found == value
    assert type(found) is type(value)
