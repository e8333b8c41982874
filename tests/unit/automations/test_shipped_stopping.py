"""Early stopping in the files that users have: the guide's, and what zero-config writes for both presets.

Every run ends with the annealing that a run without a schedule gets: linear to zero over the last 30 %.
"""

import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from enginekit import host_of

from traiNNer.automations.early_stopping import IntelligentEarlyStopping
from traiNNer.engine.control.events import ProbeFinished, RunStarted, Step, Stop, ValidationFinished, WindowFinished
from traiNNer.engine.control.knobs import Knobs
from traiNNer.optim.schedules import CosineAnnealingLR
from traiNNer.registry import AUTOMATIONS
from traiNNer.zero_config.presets import RATE, STOPPING, preset_values

DATA = Path(__file__).parents[2] / "data"
METRICS = {"val/psnr": "higher", "set5/psnr": "higher"}


@dataclass(frozen=True)
class Shipped:
    """A file: the automation's section, and the length of the run."""

    options: dict
    total: int
    freq: int

    @property
    def patience(self):
        return max(self.options["patience"], 5 * self.freq)


def guide(name, total=50000, freq=1000):
    tree = yaml.safe_load((DATA / name).read_text(encoding="utf-8"))
    section = tree.get("train", tree)["training_automations"]["IntelligentEarlyStopping"]
    return Shipped({key: value for key, value in section.items() if key != "enabled"}, total, freq)


def preset(name):
    values = {key: one.value for key, one in preset_values(name).items()}
    options = {key.removeprefix(f"{STOPPING}."): value for key, value in values.items() if key.startswith(STOPPING)}
    del options["enabled"]
    return Shipped(options, values["train.total_iter"], values["val.val_freq"])


FILES = {
    "guide": guide("guide.yml"),
    "guide_rtx3060": guide("guide_rtx3060.yml"),
    "convenience": preset("convenience"),
    "fidelity": preset("fidelity"),
}


def noise(iteration, sd=0.005, seed=0):
    return random.Random(iteration * 7919 + seed).gauss(0, sd)


def saturated(share, iteration, seed=0):
    """Flat from 20 % of the run on."""
    return 30 + 25 * min(share, 0.2) + noise(iteration, seed=seed)


def creeping(share, iteration):
    """Gain a little, hidden in the noise for a patience."""
    return 30 + 0.15 * share + noise(iteration, 0.02)


def unsteady(share, iteration):
    """Flat, with more noise."""
    return 30 + 25 * min(share, 0.2) + noise(iteration, 0.02)


def lucky(share, iteration):
    """One good value at first; then too noisy for a trend."""
    return 33.0 if share < 0.1 else 30 + noise(iteration, 0.5)


def finish(file):
    return lambda iteration: min(1.0, (file.total - iteration) / (0.3 * file.total))


def outcome(file, curve, gap=0.02, schedule=None, disabled=False, **changed):
    """Return where the run ends and which weights it leaves behind; `gap` is live minus average, in dB."""
    automation = AUTOMATIONS["intelligent_early_stopping"].build(file.options | changed)
    assert isinstance(automation, IntelligentEarlyStopping)
    automation.attach(Knobs())
    schedule = schedule or finish(file)
    run = RunStarted(
        file.total, 8, val_freq=file.freq, epoch_iter=100, metrics=METRICS, schedule=schedule, average_iter=1.0
    )
    list(automation.on_start(run))
    for iteration in range(file.freq, file.total + 1, file.freq):
        live = [-3 + gap * schedule(iteration - 1) / 8.686] * 8
        list(automation.on_probe(ProbeFinished(iteration, live, [-3.0] * 8)))
        scores = {"val/psnr": curve(iteration / file.total, iteration), "set5/psnr": 30 + iteration / 10000}
        event = ValidationFinished(iteration, scores)
        ask = automation.fallback_rule if disabled else automation.on_validation
        found = ask(event) if automation.has_fallback_rule or not disabled else ()
        for one in found:
            if isinstance(one, Stop):
                return iteration, one.best
    return file.total, None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_cosine", [False, True])
def test_flat_run_stops_by_sixty_percent(name, is_cosine):
    file = FILES[name]
    schedule = CosineAnnealingLR(file.total, 1e-3) if is_cosine else None
    ends = [
        outcome(file, lambda share, at, seed=seed: saturated(share, at, seed), schedule=schedule)[0]
        for seed in range(5)
    ]
    assert max(ends) <= 0.6 * file.total


@pytest.mark.parametrize("name", FILES)
def test_improving_run_goes_on(name):
    file = FILES[name]
    assert outcome(file, lambda share, at: 30 + 2 * share + noise(at, 0.02)) == (file.total, None)


CHANGES = {
    "preset": (
        lambda file: "convenience" if file.options.get("preset") == "fidelity" else "fidelity",
        unsteady,
        {"gap": 0.05},
    ),
    "patience": (lambda file: 8 * file.patience // 2, saturated, {}),
    "min_improvement": (lambda _: 0.5, creeping, {}),
    "min_epochs": (lambda file: file.total * 8 // 1000, saturated, {}),
    "min_iterations": (lambda file: file.total * 8 // 10, saturated, {}),
    "monitor_metric": (lambda _: "set5/psnr", saturated, {}),
    "max_no_improvement": (lambda file: 2 * file.patience, lucky, {}),
    "improvement_threshold": (lambda _: 0.1, creeping, {}),
    "warmup_iterations": (lambda file: file.total * 7 // 10, saturated, {}),
    "min_projected_gain": (lambda _: 0.5, creeping, {}),
    "restore_best": (lambda _: False, saturated, {}),
    "respect_schedule": (lambda _: False, saturated, {"gap": 1.0}),
    "fallback": (lambda _: {"early_stopping": True}, saturated, {"disabled": True}),
    "max_adjustments": (lambda _: 0, saturated, {}),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("option", CHANGES)
def test_every_option_changes_the_outcome_of_some_run(name, option):
    file = FILES[name]
    value, curve, run = CHANGES[option]
    changed = {option: value(file)}
    if option == "patience" and file.options.get("max_no_improvement") == file.options["patience"]:
        changed["max_no_improvement"] = changed["patience"]
    assert outcome(file, curve, **run) != outcome(file, curve, **run, **changed)


def test_every_option_is_tried():
    fields = AUTOMATIONS["intelligent_early_stopping"].options.model_fields
    assert set(CHANGES) == set(fields)


# Beside the rate automation, in one host

WINDOW, WARMUP, DB = 50, 1000, 20 / math.log(10)
GUIDE = {"adaptation_threshold": 0.02, "plateau_patience": 1000, "improvement_threshold": 0.001, "min_lr_factor": 0.1}


def rate_options(name):
    if name == "guide":
        return GUIDE
    found = {
        key.removeprefix(f"{RATE}."): one.value for key, one in preset_values(name).items() if key.startswith(RATE)
    }
    return {key: value for key, value in found.items() if key != "enabled"}


class Quiet:
    """A logbook that keeps nothing."""

    def __getattr__(self, name):
        return lambda *given, **named: None


class Together:
    """A run whose loss and score are flat from 20 % of its length on; annealing gives a fifth of `gap`, in dB."""

    def __init__(self, name, seed, noise=0.03, gap=0.02):
        self.file, self.random, self.noise, self.gap = FILES[name], np.random.default_rng(seed), noise, gap
        self.schedule, self.knobs = finish(self.file), Knobs(losses=("l1",))
        automations = {
            "rate": AUTOMATIONS["intelligent_learning_rate_scheduler"].build(rate_options(name)),
            "stopping": AUTOMATIONS["intelligent_early_stopping"].build(dict(self.file.options)),
        }
        run = RunStarted(
            *(self.file.total, 8),
            val_freq=self.file.freq,
            warmup_iter=WARMUP,
            schedule=lambda at: self.schedule(at) * min(1.0, (at + 1) / WARMUP),
            metrics=METRICS,
            losses={"l1": 1.0},
            anchor="l1",
            average_iter=1.0,
            has_probe=True,
        )
        self.host = host_of(automations, run, self.knobs, Quiet(), probe=self, strict=True)
        self.at = 0

    def quality(self):
        return 25 * min(self.at / self.file.total, 0.2)

    def rate(self):
        return self.knobs.rate(self.at) * self.schedule(self.at)

    def held_out(self):
        average = -3 - self.quality() / DB + self.random.normal(0, 5e-4)
        return [average + self.gap * self.rate() / DB] * 8, [average] * 8

    def training(self):
        return []

    def go(self):
        """Return the share of the run after which it ends."""
        self.host.start(0)
        while self.at < self.file.total and not self.host.stop:
            self.at += WINDOW
            self.host.iteration = self.at
            for iteration in range(self.at - WINDOW + 1, self.at + 1):
                self.host.effects.after_step(iteration)
            signal = -self.quality() / (5 * DB)
            window = WindowFinished(
                self.at, [Step(True, 1.0, math.exp(signal + x)) for x in self.random.normal(0, self.noise, WINDOW)]
            )
            self.host._ask("window", lambda automation, window=window: automation.on_window(window))
            self.host.after_iteration()
            if self.at % self.file.freq == 0:
                score = 30 + self.quality() + 0.2 * self.gap * (1 - self.rate()) + self.random.normal(0, 0.005)
                self.host.after_validation(self.at, {"val/psnr": score, "set5/psnr": 30.0})
        return self.at / self.file.total


@pytest.mark.parametrize("name", ["guide", "convenience", "fidelity"])
@pytest.mark.parametrize("seed", [0, 1])
def test_flat_run_stops_by_sixty_percent_whatever_the_rate_does(name, seed):
    assert Together(name, seed).go() <= 0.6


def test_a_cut_of_the_rate_comes_first_and_does_not_prevent_the_stop():
    run = Together("guide", 2)
    assert 0.3 < run.go() <= 0.6
    assert run.knobs["lr_factor"].value < 1.0
    assert run.knobs["lr_factor"].pending < 0.5


def test_a_cut_that_cannot_be_worth_it_is_not_waited_for():
    """The test of a plateau is far on its way when 0.02 dB are left to gain from a rate of zero."""
    assert Together("convenience", 1, noise=0.1, gap=0.1).go() <= 0.6


def test_a_cut_that_hardly_moves_the_score_is_no_break_of_its_trend():
    """As a break it takes the pairs of validations across it away, and the trend is uncertain for ten validations."""
    run = Together("convenience", 8, noise=0.1)
    assert run.go() <= 0.6
    assert run.knobs["lr_factor"].value < 1.0
