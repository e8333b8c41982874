"""The measuring process: what it tells, what it leaves behind, and how it may end."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from traiNNer.errors import OutOfMemory
from traiNNer.zero_config import measure as module
from traiNNer.zero_config.measure import measure, remembered

REAL_POPEN = subprocess.Popen


@pytest.fixture
def child(monkeypatch):
    """Let the measuring process be a script; returns a function that takes its text."""

    def use(script):
        def popen(arguments, **options):
            assert arguments[1:] == ["-m", "traiNNer.zero_config.child"]
            return REAL_POPEN([sys.executable, "-c", script], **options)

        monkeypatch.setattr(module.subprocess, "Popen", popen)

    return use


TELL = "import json, os, sys, time\ndef tell(**m): print(json.dumps(m), flush=True)\njob = json.load(sys.stdin)\n"
FIT = "tell(found='fit', value={'size': 4})\n"
PACE = "tell(found='pace', value={'it_per_s': 3})\n"


def test_what_it_finds_is_gathered_and_what_it_says_is_told(child):
    child(TELL + "tell(say='working on ' + job['it'])\n" + FIT + "tell(found='setting', value=1)\n"
          "tell(found='setting', value=2)\ntell(found='done', value=True)")  # fmt: skip
    said = []
    found = measure({"it": "this"}, said.append)
    assert said == ["working on this"]
    assert found["fit"] == {"size": 4}
    assert found["setting"] == [1, 2]
    assert found["ended"] is None


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os.kill(os.getpid(), 9)", "testing 8: the process was killed; most likely there was no memory left"),
        ("raise RuntimeError('the driver is gone')", "testing 8: RuntimeError: the driver is gone"),
        ("time.sleep(60)", "testing 8: it took too long"),
    ],
)
def test_a_process_that_ends_early_leaves_what_it_had_found(child, end, said):
    child(TELL + FIT + "tell(say='testing 8')\n" + end)
    found = measure({}, lambda _: None, limit_s=3)
    assert found["fit"] == {"size": 4}
    assert found["ended"] == said


def test_compiling_is_given_up_without_harm(child, monkeypatch):
    monkeypatch.setattr(module, "OPTIONAL_UNTIL_S", 0.5)
    monkeypatch.setattr(module, "LEAST_OPTIONAL_S", 0.5)
    child(TELL + FIT + PACE + "tell(optional=True)\ntell(say='trying settings: compiled')\ntime.sleep(60)")
    found = measure({}, lambda _: None)
    assert found["ended"] is None
    assert found["setting"] == [
        {
            "title": "compiled",
            "changes": {"use_compile": True},
            "is_taken": False,
            "note": "did not get through in time",
        }
    ]


def test_when_not_even_one_crop_fits(child):
    child(TELL + "tell(found='fit', value=None)")
    with pytest.raises(OutOfMemory, match="Not even one training crop"):
        measure({}, lambda _: None)


def test_only_complete_results_are_remembered():
    calls = []

    def result(ended):
        calls.append(ended)
        return {"fit": {}, "pace": {}, "setting": [], "ended": ended}

    assert remembered({"a": 1}, lambda: result("killed"))["ended"] == "killed"
    assert remembered({"a": 1}, lambda: result(None))["ended"] is None
    assert remembered({"a": 1}, lambda: result(None)).get("remembered")
    assert remembered({"a": 2}, lambda: result(None)).get("remembered") is None
    assert remembered({"a": 1}, lambda: result(None), fresh=True).get("remembered") is None
    assert calls == ["killed", None, None, None]


def test_a_damaged_memory_is_measured_anew(tmp_path):
    result = {"fit": {}, "pace": {}, "setting": [], "ended": None}
    remembered({"a": 1}, lambda: result)
    (store,) = (tmp_path / "cache/trainner/measured").iterdir()
    for content in ("", "{", "[]", json.dumps({"fit": {}})):
        store.write_text(content)
        assert "remembered" not in remembered({"a": 1}, lambda: dict(result))


def state():
    # torch names its compiler's folder there when it first needs it, whoever asks.
    environment = {key: value for key, value in os.environ.items() if key != "TORCHINDUCTOR_CACHE_DIR"}
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(), environment


def test_the_real_process_measures_a_tiny_run_and_leaves_no_trace(photos, tmp_path, monkeypatch):
    """The whole way, with the real network on tiny pictures; the tree that comes out is complete."""
    from traiNNer.zero_config import create

    monkeypatch.chdir(tmp_path)
    before, files = state(), sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts)
    overrides = {"datasets": {"train": {"lq_size": 12, "batch_size_per_gpu": 2, "num_worker_per_gpu": 0}},
                 "train": {"total_iter": 100}, "use_amp": False, "amp_bf16": False}  # fmt: skip
    request = create.Request("paragonsr2_nano", create.folders_of(photos / "hr"), overrides=overrides, wants_rate=True)
    monkeypatch.setattr(create, "TRIALS_S", 9.0)
    said = []
    made = create.make(request, said.append)
    for now, then in zip(state(), before, strict=True):
        assert now == then
    assert sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts) == files
    found = made.measured.found
    assert found["ended"] is None
    assert found["fit"]["size"] == 2
    assert 0 < found["fit"]["used"] < found["fit"]["total"]
    assert found["pace"]["it_per_s"] > 0
    assert found["pace"]["validation_s"] > 0
    assert found["rates"]["best"] in [rate for rate, _ in found["rates"]["scores"]]
    assert made.draft.value("train.optim_g.lr") == found["rates"]["best"]
    assert [one["title"] for one in found["setting"]] == ["plain memory format"]
    assert any("trying learning rates" in line for line in said)
    assert made.draft.checked().options.train.total_iter == 100


def test_the_crops_that_are_chosen_are_the_ones_that_are_trained(photos, monkeypatch):
    import io

    from traiNNer.zero_config import child, create, settings
    from traiNNer.zero_config.compose import compose, find_arch
    from traiNNer.zero_config.subject import look

    monkeypatch.setattr(settings, "SECONDS_PER_BLOCK", 0.01)
    subject = look(create.folders_of(photos / "hr", photos / "lr"), None)
    overrides = {"num_gpu": 0, "use_amp": False, "datasets": {"train": {"batch_size_per_gpu": 1}}}
    draft = compose(find_arch("paragonsr2_nano"), subject, "convenience", overrides)
    job = {"tree": draft.tree(), "crops": [40, 32], "run_s": 1.0, "given": []}
    measuring = child.Measuring(job, io.StringIO())
    with torch.random.fork_rng(devices=[]):
        measuring._choose_crop()
    assert measuring.options.datasets["train"].options.lq_size == 32
    assert measuring.sets["train"].sample(0, np.random.default_rng(0)).lq.shape == (32, 32, 3)
