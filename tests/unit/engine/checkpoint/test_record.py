import copy
import json

import pytest
import torch
from statekit import STATE

from traiNNer.engine.checkpoint.record import LONGEST_RECORD, check_state, read_record
from traiNNer.utils.bounded import Misfit

IDENTITY = {"size": 5, "sha256": "0" * 64}
RECORD = {"iteration": 5, "files": {"5.state": IDENTITY, "net_g_5.safetensors": IDENTITY}}


def test_record_is_read(tmp_path):
    path = tmp_path / "5.json"
    path.write_text(json.dumps(RECORD))
    assert read_record(path, 5).files["5.state"].size == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested deeper than 100 levels"),
        ("[]", "valid dictionary|object"),
        (json.dumps({**RECORD, "iteration": "5"}), "iteration: "),
        (json.dumps({**RECORD, "iteration": 6}), "iteration: 6 in the record of 5"),
        (json.dumps({**RECORD, "files": [1]}), "files: "),
        (json.dumps({**RECORD, "files": {"5.state": IDENTITY, "net_d_5.pth": IDENTITY}}), "net_g_5 is missing"),
        (json.dumps({**RECORD, "files": {"x": IDENTITY, "net_g_5.pth": IDENTITY}}), "5.state is missing"),
        (json.dumps({**RECORD, "files": {**RECORD["files"], "../x": IDENTITY}}), "not in this folder"),
        (json.dumps({**RECORD, "files": {**RECORD["files"], "\0": IDENTITY}}), "not in this folder"),
        (json.dumps({**RECORD, "files": {**RECORD["files"], "x": {"size": -1, "sha256": "0" * 64}}}), "files.x.size"),
        (json.dumps({**RECORD, "files": {**RECORD["files"], "x": {"size": 1, "sha256": 7}}}), "files.x.sha256"),
        (json.dumps({**RECORD, "files": {**RECORD["files"], "x": {"size": 1}}}), "files.x.sha256: Field required"),
        (json.dumps(RECORD) + " " * LONGEST_RECORD, "larger than"),
    ],
)
def test_other_records_are_refused_with_the_place(tmp_path, text, words):
    path = tmp_path / "5.json"
    path.write_text(text)
    with pytest.raises(Misfit, match=words):
        read_record(path, 5)


def test_complete_state_is_accepted():
    one = {"l": torch.ones(())}
    check_state({**STATE, "best": {"psnr": [30.5, 4]}, "window": {"count": 1, "sums": one, "counts": one}}, 1)


@pytest.mark.parametrize("name", [name for name in STATE if name not in ("format", "snapshot")])
def test_every_part_of_a_state_is_needed_and_of_its_kind(name):
    for other in (None, 5, "x", [], [[]], {"a": object()}):
        if name in ("identity", "environment", "learners", "model") and isinstance(other, dict):
            continue
        with pytest.raises(Misfit, match=f"^{name}"):
            check_state({**STATE, name: other}, 1)
    lacking = copy.copy(STATE)
    del lacking[name]
    with pytest.raises(Misfit, match=f"^{name}: Field required"):
        check_state(lacking, 1)


@pytest.mark.parametrize(
    "stream",
    [
        {"training": {"lr": torch.ones(2)}},
        {"order": {1, 2}},
        {"needs_length": "yes"},
        {"files": {"train": [1]}},
        {"scores": {"val": []}},
        {"scores": {"val": {"metrics": 5}}},
        {"scores": {"datasets": {"val": "x"}}},
    ],
)
def test_parts_that_are_compared_are_plain(stream):
    with pytest.raises(Misfit, match=f"^stream.{next(iter(stream))}"):
        check_state({**STATE, "stream": {**STATE["stream"], **stream}}, 1)


@pytest.mark.parametrize(
    "window",
    [{"sums": {"l": torch.ones(2)}}, {"sums": {"l": 1.0}}, {"counts": {"l": torch.ones(())}}, {"count": -1}],
)
def test_window_holds_single_numbers(window):
    with pytest.raises(Misfit, match=r"^window"):
        check_state({**STATE, "window": {**STATE["window"], **window}}, 1)


@pytest.mark.parametrize("progress", [{"iteration": 2}, {"validated": 2}])
def test_state_is_of_its_iteration(progress):
    with pytest.raises(Misfit, match=rf"^progress.{next(iter(progress))}: 2 in the state of 1"):
        check_state({**STATE, "progress": {**STATE["progress"], **progress}}, 1)
