"""Files of a run that hold something else: the run ends in a sentence or goes on, whatever they hold."""

import hashlib
import io
import json
import os
import random
import shutil
from pathlib import Path

import pytest
import torch

from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import RunError
from traiNNer.run.train import train

OTHERS = [None, True, -1, 10**30, 1.5, "", "x\0y", "../x", [], {}, [[]], {"a": {"b": []}}, "é" * 300]


def deep() -> list:
    value: list = []
    for _ in range(300):
        value = [value]
    return value


class Mutator:
    """Changes one place of a tree of plain values: another value, another type, a lost or a foreign key."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def change(self, tree) -> str:
        # Down by chance, so that every part has its turn however many values the others have.
        holder, key = tree, self.random.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        while isinstance(holder[key], dict | list) and holder[key] and self.random.random() < 0.75:
            holder = holder[key]
            key = self.random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        kind = self.random.randrange(4)
        if kind == 0 and isinstance(holder, dict):
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[self.random.choice(["", "foreign", "a.b"])] = holder.pop(key)
        else:
            holder[key] = self.random.choice([*OTHERS, deep(), torch.ones(2)])
        return f"{key}, {kind}"


def quietly(given, check=False):
    log = Logbook(quiet=True)
    try:
        train(given, log, check=check, overwrite=False)
    finally:
        log.close()


@pytest.fixture
def resumed(loaded, place, capsys):
    """Return a function that resumes a run after a change, and returns how it ended; the run is put back first."""
    quietly(loaded())
    shutil.move(place / "experiments", place / "kept")

    def run(change):
        shutil.rmtree(place / "experiments", ignore_errors=True)
        shutil.copytree(place / "kept", place / "experiments")
        change(place / "experiments/run")
        log = Logbook()
        try:
            ended = train(loaded("auto_resume=true", "train.total_iter=3"), log, check=False, overwrite=False)
            return 0, ended + capsys.readouterr().out
        except RunError as error:
            return error.exit_code, str(error)
        finally:
            log.close()

    return run


def damage_json(path, mutator):
    tree = json.loads(path.read_text())
    what = mutator.change(tree)
    path.write_text(json.dumps(tree, default=str))
    return what


def damage_state(root, mutator):
    path, place = root / "training_states/2.state", root / "training_states/2.json"
    tree = torch.load(path, weights_only=True)
    what = mutator.change(tree)
    buffer = io.BytesIO()
    torch.save(tree, buffer)
    path.write_bytes(buffer.getvalue())
    record = json.loads(place.read_text())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    record["files"]["2.state"] = {"size": len(buffer.getvalue()), "sha256": digest}
    place.write_text(json.dumps(record))
    return what


def check_many(resumed, damage, seeds, codes):
    seen = set()
    for seed in seeds:
        what = []
        try:
            code, text = resumed(lambda root, seed=seed, what=what: what.append(damage(root, Mutator(seed))))
        except Exception as error:
            raise AssertionError(f"seed {seed}, {what}: {type(error).__name__}") from error
        assert code in codes, f"seed {seed}, {what}: {text}"
        assert "Traceback" not in text
        seen.add(code)
    return seen


SEEDS = [pytest.param(range(6)), pytest.param(range(6, 200), marks=pytest.mark.nightly)]


@pytest.mark.parametrize("seeds", SEEDS)
def test_states_with_other_content_end_in_a_sentence(resumed, seeds):
    assert 4 in check_many(resumed, damage_state, seeds, {0, 4})


@pytest.mark.parametrize("seeds", SEEDS)
def test_records_with_other_content_end_in_a_sentence(resumed, seeds):
    def damage(root, mutator):
        return damage_json(root / "training_states/2.json", mutator)

    assert 4 in check_many(resumed, damage, seeds, {0, 4})


@pytest.mark.parametrize("name", [".run", "models/.run", ".lock"])
def test_marks_and_locks_with_other_content_end_in_a_sentence(resumed, name):
    def damage(root, mutator):
        (root / name).write_text((root / name).read_text() or '{"pid": 1, "host": "a", "since": "b"}')
        return damage_json(root / name, mutator)

    check_many(resumed, damage, range(3), {0, 2})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("name", ["metrics.jsonl", "decisions.jsonl"])
def test_pipe_in_place_of_a_record_is_named(resumed, name):
    def replace(root):
        (root / name).unlink(missing_ok=True)
        os.mkfifo(root / name)

    code, text = resumed(replace)
    assert (code, text) == (7, f"Cannot write to {Path('experiments/run') / name} (not a regular file).")


@pytest.mark.parametrize("name", ["metrics.jsonl", "decisions.jsonl"])
def test_records_of_events_never_forbid_a_resume(resumed, name):
    def damage(root, mutator):
        lines = [{"event": "train", "iter": 1}, *map(json.loads, (root / "metrics.jsonl").read_text().splitlines())]
        what = mutator.change(lines)
        text = "".join(json.dumps(line, default=str) + "\n" for line in lines)
        (root / name).write_text(text + "[" * 10_000 + "\n\xff\0\n5\n")
        return what

    code, text = resumed(lambda root: damage(root, Mutator(0)))
    assert code == 0
    assert f"{name} is damaged in line" in text
    assert check_many(resumed, damage, range(1, 4), {0}) == {0}


def test_one_flipped_bit_in_the_record_of_events_is_told(resumed, place):
    def flip(root):
        path = root / "metrics.jsonl"
        lines = path.read_text().splitlines()
        lines[1] = lines[1].replace('"iter"', '"Iter"')
        path.write_text("".join(line + "\n" for line in lines))

    code, text = resumed(flip)
    assert code == 0
    assert "metrics.jsonl is damaged in line 2: left out. Only this record lacks something, not the training." in text
    after = (place / "experiments/run/metrics.jsonl").read_text().splitlines()
    assert all("iter" in json.loads(line) for line in after)


@pytest.mark.parametrize("seed", range(6))
def test_metadata_with_other_content_ends_in_a_sentence(loaded, place, capsys, seed):
    from safetensors.torch import load_file, save_file

    quietly(loaded())
    path = place / "experiments/run/models/net_g_ema_2.safetensors"
    about = {
        "traiNNer": {"arch": "paragonsr2", "options": {"num_feat": 8}, "scale": 2, "iteration": 2, "role": "net_g"}
    }
    Mutator(seed).change(about)
    save_file(load_file(path), place / "w.safetensors", {"traiNNer": json.dumps(about.get("traiNNer"), default=str)})
    given = loaded("name=other", f"path.pretrain_network_g={place / 'w.safetensors'}")
    code, text = 0, "w.safetensors"
    try:
        quietly(given, check=True)
    except RunError as error:
        code, text = error.exit_code, str(error)
    assert code in (0, 2)
    assert "w.safetensors" in text
    assert len(text) < 2000


def test_weights_of_no_checkpoint_are_told_and_kept(resumed, place):
    def leave(root):
        shutil.copy(root / "models/net_g_2.safetensors", root / "models/net_g_9.safetensors")

    code, text = resumed(leave)
    assert code == 0
    assert "models has weights of no checkpoint: net_g_9.safetensors. They are kept until" in text
    assert (place / "experiments/run/models/net_g_9.safetensors").exists()
