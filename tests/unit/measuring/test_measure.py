"""The measuring process: its messages, side effects and exits."""

import os
import random
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from traiNNer.errors import OutOfMemory
from traiNNer.measuring import measure as module
from traiNNer.measuring.measure import Conditions, measure, remembered
from traiNNer.measuring.measured import Comparison, Fit, Measured, Pace, Trials
from traiNNer.measuring.messages import Job

REAL_POPEN = subprocess.Popen
JOB = Job(tree={"name": "this"}, validated=(8, 8), workers=(0,), decoded_mb=1.0)
FIT = Fit(4, 10, 20)
PACE = Pace(0, 3.0, 0.0, {0: 3.0}, 18, 6.0, 0.0, 1.0, 0.5, 0.1)
GRAY = Comparison("gray", {"use_amp": True}, 1.0, 0.0, False, "no")


class Timer:
    """A timer that fires on request."""

    running = None

    def __init__(self, seconds, function):
        self.seconds, self.function = seconds, function

    def start(self):
        Timer.running = self

    def cancel(self):
        Timer.running = None


@pytest.fixture
def child(monkeypatch):
    """Replace the measuring process by a script with the real job and messages; return a function that sets it."""

    def use(script):
        def popen(arguments, **options):
            assert arguments[1:] == ["-m", "traiNNer.measuring.child"]
            return REAL_POPEN([sys.executable, "-c", TELL + script], **options)

        monkeypatch.setattr(module.subprocess, "Popen", popen)
        monkeypatch.setattr(module.threading, "Timer", Timer)

    return use


TELL = f"""
import os, sys, time
from traiNNer.measuring.measured import *
from traiNNer.measuring.messages import *
def tell(record):
    sys.stdout.write(encode(record))
    sys.stdout.flush()
job = read_job(sys.stdin.read())
FIT, PACE, GRAY = {FIT!r}, {PACE!r}, {GRAY!r}
"""


def silent(text):
    pass


def test_findings_are_collected_and_progress_is_reported(child):
    child("tell(Progress('working on ' + job.tree['name'] + str(job.validated)))\n"
          "tell(Stage('ready'))\ntell(Measured(fit=FIT))\ntell(Measured(fit=FIT, settings=(GRAY,), pace=PACE))\n"
          "tell(Stage('done'))")  # fmt: skip
    said = []
    found = measure(JOB, said.append)
    assert said == ["working on this(8, 8)"]
    assert found == Measured(start_s=found.start_s, fit=FIT, settings=(GRAY,), pace=PACE)
    assert found.start_s > 0
    assert found.costs.start_s == found.start_s


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os.kill(os.getpid(), 9)", "the process was killed (signal 9); most likely there was no memory left"),
        ("raise RuntimeError('the driver is gone')", "RuntimeError: the driver is gone (exit code 1)"),
        ("os._exit(3)", "the process ended (exit code 3)"),
        ("", "the process ended (exit code 0)"),
        ('sys.stdout.write(\'{"kind": "meas\'); sys.stdout.flush(); os._exit(4)', "the process ended (exit code 4)"),
    ],
)
def test_early_exit_keeps_partial_results(child, end, said):
    child("tell(Measured(fit=FIT))\ntell(Progress('testing 8'))\n" + end)
    assert measure(JOB, silent) == Measured(fit=FIT, ended=f"testing 8: {said}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("warning: something", "Invalid JSON: .* in 'warning: something'"),
        ('{"kind": "news"}', "Input tag 'news' found using 'kind' does not match any of the expected tags"),
        ('{"kind": "progress"}', "progress.text: Field required in "),
        ('{"kind": "measured", "fit": {"size": 4, "used": 1}}', "measured.fit.total: Field required in "),
        ('{"kind": "measured", "fits": 4}', "measured.fits: Unexpected keyword argument in "),
        ('{"kind": "measured", "tile": "wide"}', "measured.tile: Input should be a valid integer"),
        ('{"kind": "stage", "name": "over"}', "stage.name: Input should be 'ready'"),
        ("\xff", "Invalid JSON"),
    ],
)
def test_invalid_message_line_is_reported(child, line, said):
    child(f"tell(Measured(fit=FIT))\nsys.stdout.buffer.write({line.encode('latin-1')!r} + b'\\n')\nsys.stdout.flush()\n"
          "time.sleep(600)")  # fmt: skip
    found = measure(JOB, silent)
    assert found.fit == FIT
    assert re.match(f"starting: the measuring process sent an invalid message: {said}", found.ended)


def test_invalid_job_is_reported(child, monkeypatch):
    monkeypatch.setattr(module, "encode", lambda job: '{"tree": {}, "workers": [0], "decoded_mb": 1}')
    child("")
    assert "MessageError: validated: Field required in " in measure(JOB, silent).ended
    assert measure(JOB, silent).ended.endswith("(exit code 1)")


def at(wanted):
    """Fire the timeout when the process sends a message."""
    return lambda text: Timer.running.function() if text == wanted else None


def test_timeout_ends_the_child(child):
    child("tell(Measured(fit=FIT))\ntell(Progress('testing 8'))\ntime.sleep(600)")
    assert measure(JOB, at("testing 8")) == Measured(fit=FIT, ended="testing 8: it took too long")


@pytest.mark.parametrize(
    ("end", "note"),
    [
        ("time.sleep(600)", "did not get through in time"),
        ("raise RuntimeError('no compiler')", "RuntimeError: no compiler (exit code 1)"),
    ],
)
def test_compilation_can_be_aborted(child, end, note):
    child("tell(Measured(fit=FIT, settings=(GRAY,), pace=PACE))\ntell(Stage('expendable'))\n"
          "tell(Progress('trying settings: compiled'))\n" + end)  # fmt: skip
    seconds = []

    def say(text):
        seconds.append(Timer.running.seconds)
        if "sleep" in end:
            Timer.running.function()

    found = measure(JOB, say)
    assert module.LEAST_OPTIONAL_S <= seconds[0] <= module.OPTIONAL_UNTIL_S
    compiled = Comparison("compiled", {"use_compile": True}, 0.0, 0.0, False, note)
    assert found == Measured(fit=FIT, settings=(GRAY, compiled), pace=PACE)


def test_not_one_crop_fits(child):
    child("tell(Stage('nothing fits'))")
    with pytest.raises(OutOfMemory, match="Not even one training crop"):
        measure(JOB, silent)


def conditions(machine="this one", job=JOB):
    return Conditions(job, ("photos", "None"), {"train": {"count": 3}}, machine)


def test_only_complete_results_are_remembered():
    calls = []

    def result(ended):
        calls.append(ended)
        return Measured(fit=FIT, pace=PACE, settings=(GRAY,), start_s=2.0, ended=ended)

    assert remembered(conditions(), lambda: result("killed")).ended == "killed"
    assert remembered(conditions(), lambda: result(None)).ended is None
    assert remembered(conditions(), lambda: result("x")) == replace(result(None), is_remembered=True)
    for another in (conditions("another"), conditions(job=replace(JOB, crops=(48,)))):
        assert not remembered(another, lambda: result(None)).is_remembered
    assert not remembered(conditions(), lambda: result(None), fresh=True).is_remembered
    assert calls == ["killed", None, None, None, None, None]


def test_nan_scores_are_remembered():
    trials = Trials({1e-3: (float("-inf"),), 2.5e-4: (20.5, 21.0)}, (20, 40), 3.0)
    remembered(conditions(), lambda: Measured(fit=FIT, pace=PACE, trials=trials))
    assert remembered(conditions(), Measured).trials == trials


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fit": {}}', '{"fit": null}', "{}"])
def test_damaged_measurement_cache_is_rebuilt(own_cache, content):
    remembered(conditions(), lambda: Measured(fit=FIT, pace=PACE))
    (store,) = (own_cache / "trainner/measured").iterdir()
    store.write_text(content)
    assert not remembered(conditions(), lambda: Measured(fit=FIT, pace=PACE)).is_remembered
    assert remembered(conditions(), Measured).is_remembered


def state():
    # torch sets its compiler folder there on first use.
    environment = {key: value for key, value in os.environ.items() if key != "TORCHINDUCTOR_CACHE_DIR"}
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(), environment


def test_real_process_measures_a_tiny_run_and_leaves_no_trace(photos, tmp_path, monkeypatch):
    """End to end, with the real network on tiny images; the resulting tree is complete.

    Nothing that is checked depends on the machine's speed: no limit of time can be reached, and the trials are as long
    as the run, whose iterations are given.
    """
    from traiNNer.zero_config import create

    monkeypatch.setattr(create, "LIMIT_S", 1e6)
    monkeypatch.setattr(create, "TRIALS_S", 1e6)
    monkeypatch.setattr(create, "FACTORS", ((1, 5, 20),))
    monkeypatch.chdir(tmp_path)
    before, files = state(), sorted(tmp_path.rglob("*"))
    overrides = {"datasets": {"train": {"lq_size": 12, "batch_size_per_gpu": 2, "num_worker_per_gpu": 0}},
                 "train": {"total_iter": 80}, "use_amp": False, "amp_bf16": False, "use_compile": False}  # fmt: skip
    request = create.Request("paragonsr2_nano", create.folders_of(photos / "hr"), overrides=overrides, wants_rate=True)
    said = []
    made = create.make(request, said.append)
    for now, then in zip(state(), before, strict=True):
        assert now == then
    assert sorted(tmp_path.rglob("*")) == files
    found = made.measured
    assert found.ended is None
    assert found.start_s > 0
    assert found.fit.size == 2
    assert 0 < found.fit.used < found.fit.total
    assert found.pace.it_per_s > 0
    assert found.pace.validation_s > 0
    assert found.trials.lengths == (20, 40, 80)
    assert len(found.trials.scores) == 3
    assert made.draft.value("train.optim_g.lr") == found.learning_rate
    assert found.learning_rate in found.trials.scores
    assert [one.title for one in found.settings] == ["plain memory format"]
    assert any("trying learning rates" in line for line in said)
    assert made.draft.checked().options.train.total_iter == 80


def test_chosen_crops_are_trained(photos, monkeypatch):
    import io

    from traiNNer.measuring import child, settings
    from traiNNer.zero_config import create
    from traiNNer.zero_config.compose import compose, find_arch
    from traiNNer.zero_config.subject import DatasetProfile

    monkeypatch.setattr(settings, "SECONDS_PER_BLOCK", 0.01)
    profile = DatasetProfile.inspect(create.folders_of(photos / "hr", photos / "lr"), None)
    overrides = {"num_gpu": 0, "use_amp": False, "datasets": {"train": {"batch_size_per_gpu": 1}}}
    draft = compose(find_arch("paragonsr2_nano"), profile, "convenience", overrides)
    job = replace(JOB, tree=draft.tree(), crops=(40, 32), run_s=1.0)
    measuring = child.Measuring(job, io.StringIO())
    with torch.random.fork_rng(devices=[]):
        measuring._choose_crop()
    assert measuring.measured.crop.side == 32
    assert list(measuring.measured.crop.step_s) == [40, 32]
    assert measuring.options.datasets["train"].options.lq_size == 32
    assert measuring.sets["train"].sample(0, np.random.default_rng(0)).lq.shape == (32, 32, 3)


def test_measurement_without_free_memory_reports_and_exits(photos, monkeypatch):
    import io

    from traiNNer.measuring import child
    from traiNNer.measuring.messages import Stage, read_message
    from traiNNer.zero_config import create
    from traiNNer.zero_config.compose import compose, find_arch
    from traiNNer.zero_config.subject import DatasetProfile

    monkeypatch.setattr(child, "largest_fit", lambda *_: None)
    monkeypatch.setattr(child, "fitting_tile", lambda *_: 16)
    profile = DatasetProfile.inspect(create.folders_of(photos / "hr", photos / "lr"), None)
    draft = compose(find_arch("paragonsr2_nano"), profile, "convenience", {"num_gpu": 0})
    out = io.StringIO()
    child.Measuring(replace(JOB, tree=draft.tree()), out).run()
    messages = [read_message(line) for line in out.getvalue().splitlines()]
    assert messages == [Stage("ready"), Measured(tile=16), Stage("nothing fits")]


@pytest.mark.parametrize("is_native", [True, False])
def test_pace_is_known_before_a_precision_is_tried(photos, monkeypatch, is_native):
    """Whatever the trials do to the time that is left, there can be a plan."""
    import io

    from traiNNer.measuring import child
    from traiNNer.measuring.messages import read_message
    from traiNNer.zero_config import create
    from traiNNer.zero_config.compose import compose, find_arch
    from traiNNer.zero_config.subject import DatasetProfile

    out, tried = io.StringIO(), []

    def hang(_, __, candidates, *___):
        tried.extend(one.title for one in candidates)
        raise KeyboardInterrupt  # the process is ended from outside

    monkeypatch.setattr(child, "fitting_tile", lambda *_: 0)
    monkeypatch.setattr(child, "largest_fit", lambda *_: FIT)
    monkeypatch.setattr(child, "measure_pace", lambda *_: PACE)
    monkeypatch.setattr(child, "compare_settings", hang)
    monkeypatch.setattr(child, "has_native_bf16", lambda: is_native)
    profile = DatasetProfile.inspect(create.folders_of(photos / "hr", photos / "lr"), None)
    draft = compose(find_arch("paragonsr2_nano"), profile, "convenience", {"num_gpu": 0})
    with pytest.raises(KeyboardInterrupt):
        child.Measuring(replace(JOB, tree=draft.tree()), out).run()
    found = [read_message(line) for line in out.getvalue().splitlines()][-1]
    assert found.costs is not None
    assert tried == ["plain memory format", *(["bf16"] if is_native else [])]
    untried = [(one.title, one.note) for one in found.settings]
    assert untried == ([] if is_native else [("bf16", "not tried: this processor has no bf16")])
