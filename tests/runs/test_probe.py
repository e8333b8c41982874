"""The probe in real runs: it changes nothing, survives a resume, and works on several ranks."""

import json
import shutil

import pytest
import torch
from runkit import merged, ranks, run, workplace, write_options
from safetensors.torch import load_file

WATCHER = '''
"""Asks for the probe every 4 iterations and writes down what it hears."""

import json

from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import Probe, Rollback
from traiNNer.registry import AUTOMATIONS


@AUTOMATIONS.register
class Watcher(Automation):
    """Watches."""

    every = 4

    def __init__(self, roll_back_at: int = 0) -> None:
        self.roll_back_at = roll_back_at

    def on_start(self, run):
        note("start", run.iteration, [run.has_probe, run.has_average, run.beta2, run.memory_of_optimizer])
        return ()

    def on_window(self, event):
        return [Probe("as always")]

    def on_probe(self, event):
        note("probe", event.iteration, [event.live, event.average])
        return [Rollback("on trial", to="average")] if event.iteration == self.roll_back_at else []

    def on_validation(self, event):
        note("validation", event.iteration, [event.training])
        return ()


def note(kind, iteration, values):
    with open("heard.jsonl", "a") as file:
        file.write(json.dumps([kind, iteration, *values]) + "\\n")
'''
BASE = {"train": {"grad_clip": True, "total_iter": 14, "scheduler": None}}
WATCHED = {"plugins": ["watcher.py"], "train": {"training_automations": {"enabled": True, "Watcher": {}}}}
EVERY_STATE = {"logger": {"save_checkpoint_freq": 1, "keep_last": 20}}


def place(folder, *changes):
    workplace(folder)
    (folder / "watcher.py").write_text(WATCHER)
    write_options(folder, merged(merged(BASE, WATCHED), merged({}, changes[0] if changes else {})))
    return folder


def heard(folder, kind):
    entries = [json.loads(line) for line in (folder / "heard.jsonl").read_text().splitlines()]
    return {iteration: values for found, iteration, *values in entries if found == kind}


def weights(folder, name="run", role="net_g"):
    return load_file(folder / f"experiments/{name}/models/{role}_14.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = place(tmp_path_factory.mktemp("straight"), EVERY_STATE)
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder


def test_probe_that_moves_nothing_leaves_the_weights_bit_equal(straight, tmp_path):
    workplace(tmp_path)
    write_options(tmp_path, BASE)
    assert run("train.py", "-opt", "options.yml", folder=tmp_path).code == 0
    for role in ("net_g", "net_g_ema"):
        assert same(weights(straight, role=role), weights(tmp_path, role=role))
    assert (straight / "experiments/run/decisions.jsonl").read_text() == ""


def test_probe_is_reported_with_both_weights_and_training_crops(straight):
    assert heard(straight, "start") == {0: [True, True, 0.999, 2000]}
    probes, validations = heard(straight, "probe"), heard(straight, "validation")
    assert list(probes) == [4, 8, 12]
    assert all(len(live) == len(average) == 8 for live, average in probes.values())
    assert probes[12][0] != probes[12][1] != probes[8][1]
    assert [len(training) for (training,) in validations.values()] == [16] * 4


@pytest.mark.parametrize("iteration", [7, 8])
def test_resume_around_a_probe_is_exact(straight, tmp_path, iteration):
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    (tmp_path / "heard.jsonl").unlink()
    for later in (tmp_path / "experiments/run/training_states").glob("[!.]*"):
        if int(later.stem) > iteration:
            later.unlink()
    result = run("train.py", "-opt", "options.yml", "--auto_resume", folder=tmp_path)
    assert f"Resuming run at iteration {iteration} (exact)." in result.output
    assert same(weights(tmp_path), weights(straight))
    later = {at: errors for at, errors in heard(straight, "probe").items() if at > iteration}
    assert heard(tmp_path, "probe") == later


def test_two_ranks_probe_and_return_to_the_average_together(tmp_path):
    back = {"train": {"training_automations": {"Watcher": {"roll_back_at": 8}}}}
    folder = place(tmp_path, merged(back, {"dist": True, "train": {"optim_g": {"lr": 0.01}}}))
    results = [process.finish() for process in ranks(folder)]
    assert [result.code for result in results] == [0, 0], results[0].output + results[1].output
    assert "Rolled back to their average; training continues. Reason: on trial" in results[0].output
    probes = heard(folder, "probe")
    assert list(probes) == [4, 8, 12]
    assert sum(probes[8][0]) != sum(probes[8][1])
    price = [json.loads(line) for line in (folder / "experiments/run/metrics.jsonl").read_text().splitlines()]
    assert [entry["iterations"] for entry in price if entry["event"] == "automations"] == [0]
