import hashlib
import io
import json
import random
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load as load_safetensors
from statekit import STATE, state_of

from traiNNer.engine.checkpoint.decoding import DamagedCheckpoint
from traiNNer.engine.checkpoint.state import FORMAT
from traiNNer.engine.checkpoint.store import CheckpointStore
from traiNNer.engine.run_folder import RunFolder
from traiNNer.errors import CheckpointError


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(
        tmp_path,
        tmp_path / "models",
        tmp_path / "models",
        tmp_path / "training_states",
        tmp_path / "log",
        tmp_path / "visualization",
    )
    folder.models.mkdir()
    folder.training_states.mkdir()
    return folder


def weights(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    conv = torch.randn(4, 3, 3, 3, generator=generator).to(memory_format=torch.channels_last)
    return {"conv.weight": conv, "flag": torch.tensor(True), "count": torch.tensor(seed)}


def save(store: CheckpointStore, iteration: int) -> None:
    state = {**state_of(iteration), "optimizer": {"step": torch.tensor(1.0)}, "list": [1, "a", None]}
    about = {role: {"arch": "x"} for role in ("net_g", "net_g_ema")}
    store.save(iteration, {"net_g": weights(iteration), "net_g_ema": weights(iteration + 1)}, state, about)


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_checkpoint_round_trip_is_bitwise_exact(folder, ending):
    store = CheckpointStore(folder, ending)
    save(store, 5)
    restored = store.load(5)
    assert restored.iteration == 5
    assert restored.state["list"] == [1, "a", None]
    for role, seed in (("net_g", 5), ("net_g_ema", 6)):
        for name, tensor in weights(seed).items():
            assert torch.equal(restored.weights[role][name], tensor)
            assert restored.weights[role][name].dtype == tensor.dtype


def test_newest_is_by_number_and_only_keep_last_states_stay(folder):
    store = CheckpointStore(folder, keep_last=2)
    for iteration in (900, 1000, 99, 2000):
        save(store, iteration)
    assert store.iterations() == [2000, 1000]
    assert store.newest()[0].iteration == 2000
    assert {path.stem for path in folder.training_states.glob("*.state")} == {"2000", "1000"}
    assert (folder.models / "net_g_900.safetensors").exists()


def damage_flip(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def damage_cut(path, rng):
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def damage_empty(path, rng):
    path.write_bytes(b"")


def damage_remove(path, rng):
    path.unlink()


def damage_pointer(path, rng):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


@pytest.mark.parametrize("damage", [damage_flip, damage_cut, damage_empty, damage_remove, damage_pointer])
@pytest.mark.parametrize(
    "name", ["models/net_g_20.safetensors", "models/net_g_ema_20.safetensors", "training_states/20.state"]
)
def test_every_damage_is_reported_and_the_previous_state_is_used(folder, damage, name):
    store = CheckpointStore(folder)
    rng = random.Random(1)
    for _ in range(10 if damage in (damage_flip, damage_cut) else 1):  # the others damage alike every time
        save(store, 10)
        save(store, 20)
        damage(folder.root / name, rng)
        restored, warnings = store.newest()
        assert restored.iteration == 10
        assert len(warnings) == 1
        assert "Checkpoint 20 is damaged" in warnings[0]
        assert name.split("/")[1] in warnings[0]
        assert "Using 10 instead; 10 iterations will be repeated." in warnings[0]
        assert store.iterations() == [10]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"iteration": 20, "files": {}}', '{"iteration": 20, "files": {"../x": {}}}']
)
def test_broken_record_is_ignored(folder, text):
    store = CheckpointStore(folder)
    save(store, 10)
    save(store, 20)
    (folder.training_states / "20.json").write_text(text)
    assert store.newest()[0].iteration == 10


def test_record_cannot_name_a_file_outside_its_folder(folder, tmp_path):
    store = CheckpointStore(folder)
    save(store, 10)
    record = json.loads((folder.training_states / "10.json").read_text())
    record["files"]["../../outside"] = {"size": 1, "sha256": "0"}
    (folder.training_states / "10.json").write_text(json.dumps(record))
    with pytest.raises(DamagedCheckpoint, match="not complete"):
        store.load(10)


def test_foreign_files_and_unrecorded_states_are_ignored(folder):
    store = CheckpointStore(folder)
    save(store, 10)
    for name in ("100_bak.state", "100_bak.json", "200.state", "²³.json", "-5.json"):
        (folder.training_states / name).write_text("x")
    assert store.iterations() == [10]


def test_no_usable_image_is_an_error_without_changes(folder):
    store = CheckpointStore(folder)
    save(store, 10)
    (folder.training_states / "10.state").write_bytes(b"x")
    before = sorted(path.name for path in folder.training_states.iterdir())
    with pytest.raises(CheckpointError, match=r"No usable checkpoint in .*; checked 1. Nothing was changed."):
        store.newest()
    assert sorted(path.name for path in folder.training_states.iterdir()) == before


@pytest.mark.parametrize("call", range(12))
def test_failure_at_any_write_leaves_the_previous_checkpoint(folder, call, monkeypatch):
    import os

    store = CheckpointStore(folder)
    save(store, 10)
    calls = {"count": 0}
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def failing(name):
        def run(*args, **kwargs):
            calls["count"] += 1
            if calls["count"] > call:
                raise OSError(28, "No space left on device")
            return real[name](*args, **kwargs)

        return run

    for name in real:
        monkeypatch.setattr(os, name, failing(name))
    try:
        save(store, 20)
        failed = False
    except OSError:
        failed = True
    for name, function in real.items():
        monkeypatch.setattr(os, name, function)
    expected = 10 if failed else 20
    assert store.newest()[0].iteration == expected
    assert not [p for p in folder.root.rglob("*") if ".tmp-" in p.name and not failed]
    if call == 0:
        assert failed


def test_leftovers_of_a_killed_save_are_removed(folder):
    store = CheckpointStore(folder)
    (folder.models / ".net_g_5.safetensors.tmp-4711").write_bytes(b"half")
    (folder.training_states / ".5.state.tmp-4711").write_bytes(b"half")
    (folder.root / ".options.yml.tmp-4711").write_bytes(b"half")
    store.remove_leftovers()
    assert not [path for path in folder.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("call", range(8))
def test_failed_save_leaves_no_file(folder, call, monkeypatch):
    import os

    store, real, calls = CheckpointStore(folder), os.replace, []
    save(store, 10)
    before = sorted(folder.root.rglob("*"))

    def full_disk(*paths):
        calls.append(paths)
        if len(calls) > call:
            raise OSError(28, "No space left on device")
        real(*paths)

    monkeypatch.setattr(os, "replace", full_disk)
    if call >= 4:  # state, two files of weights, record
        save(store, 20)
        assert store.iterations() == [20, 10]
        return
    with pytest.raises(OSError, match="No space left"):
        save(store, 20)
    assert sorted(folder.root.rglob("*")) == before


def test_files_of_no_record_are_deleted(folder):
    store = CheckpointStore(folder)
    for iteration in (3, 10, 20):
        save(store, iteration)
    for killed in (3, 20):  # in the deletion of 3, in the save of 20
        (folder.training_states / f"{killed}.json").unlink()
    (folder.training_states / "best.state").write_bytes(b"someone else's")
    store.remove_leftovers()
    states = {path.name for path in folder.training_states.iterdir()}
    assert states == {"10.json", "10.state", "best.state"}
    assert {path.stem for path in folder.models.iterdir()} == {f"net_{r}_{n}" for r in ("g", "g_ema") for n in (3, 10)}


def test_states_without_any_record_stay(folder):
    store = CheckpointStore(folder)
    save(store, 10)
    (folder.training_states / "10.json").unlink()
    store.remove_leftovers()
    assert (folder.training_states / "10.state").exists()


def test_state_is_written_before_the_weights(folder, monkeypatch):
    """So weights without a state are of a run whose states were deleted."""
    store = CheckpointStore(folder)
    written = []
    write = "traiNNer.engine.checkpoint.store.write_bytes_atomic"
    monkeypatch.setattr(write, lambda path, data: written.append(path.name))
    save(store, 10)
    assert written == ["10.state", "net_g_10.safetensors", "net_g_ema_10.safetensors", "10.json"]
    monkeypatch.undo()
    save(store, 10)
    assert store.weights_without_state() == []
    (folder.training_states / "10.state").unlink()
    assert store.weights_without_state() == [10]


def test_states_of_an_abandoned_branch_are_superseded(folder):
    store = CheckpointStore(folder)
    for iteration in (10, 20, 30):
        save(store, iteration)
    assert store.supersede_after(10) == [30, 20]
    assert store.iterations() == [10]
    assert (folder.training_states / "30.state.superseded").exists()


def test_code_in_a_state_is_refused_even_when_its_record_fits(folder, tmp_path):
    import hashlib
    import os

    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'executed'}",)

    store = CheckpointStore(folder)
    save(store, 10)
    save(store, 20)
    path = folder.training_states / "20.state"
    torch.save({"iteration": 20, "optimizer": Payload()}, path)
    record = json.loads((folder.training_states / "20.json").read_text())
    data = path.read_bytes()
    record["files"]["20.state"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder.training_states / "20.json").write_text(json.dumps(record))
    restored, warnings = store.newest()
    assert restored.iteration == 10
    assert f"20.state contains code ({os.system.__module__}.system), not only weights. Refused." in warnings[0]
    assert not (tmp_path / "executed").exists()


def test_undeletable_old_state_is_a_warning(folder, monkeypatch):
    store = CheckpointStore(folder, keep_last=1)
    save(store, 1)

    def refuse(path, missing_ok=False):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    (warning,) = store.save(2, {"net_g": weights(2)}, state_of(2), {"net_g": {"arch": "x"}})
    assert warning.startswith("Could not delete the old state")
    assert "1.state: input/output error" in warning
    assert store.load(2).iteration == 2


def test_tied_weights_are_saved(folder):
    tied = torch.ones(3)
    store = CheckpointStore(folder)
    store.save(1, {"net_g": {"a": tied, "b": tied}}, STATE, {"net_g": {"arch": "x"}})
    assert torch.equal(store.load(1).weights["net_g"]["b"], tied)


def test_moved_weights_are_read_from_another_folder(folder, tmp_path):
    save(CheckpointStore(folder), 3)
    moved = tmp_path / "moved"
    folder.models.rename(moved)
    folder.models.mkdir()
    assert CheckpointStore(replace(folder, resume_models=moved)).load(3).iteration == 3
    with pytest.raises(DamagedCheckpoint):
        CheckpointStore(folder).load(3)


def test_weights_are_known_by_their_content_where_two_folders_have_the_name(folder, tmp_path):
    save(CheckpointStore(folder), 3)
    moved = tmp_path / "moved"
    folder.models.rename(moved)
    other = replace(folder, training_states=tmp_path / "other")
    folder.models.mkdir()
    other.training_states.mkdir()
    CheckpointStore(other).save(3, {"net_g": weights(9)}, state_of(3), {"net_g": {"arch": "x"}})
    for models, resume_models in ((folder.models, moved), (moved, folder.models)):
        both = replace(folder, models=models, resume_models=resume_models)
        assert torch.equal(CheckpointStore(both).load(3).weights["net_g"]["count"], torch.tensor(3))


def test_earlier_archives_are_kept(folder):
    store = CheckpointStore(folder)
    for seed in (1, 2, 3):
        store.save_best("net_g_best_psnr", "net_g_ema", weights(seed), {"iteration": seed})
        store.supersede_all()
    kept = {path.name: load_safetensors(path.read_bytes())["count"].item() for path in folder.models.iterdir()}
    name = "net_g_best_psnr.safetensors.superseded"
    assert kept == {name: 1, f"{name}-2": 2, f"{name}-3": 3}


def test_best_weights_of_the_other_format_are_used(folder):
    CheckpointStore(folder, "pth").save_best("net_g_best_psnr", "net_g_ema", weights(1), {"iteration": 4})
    assert CheckpointStore(folder, "safetensors").keep_best_until(5, ["psnr"]) == []


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_best_weights_of_an_abandoned_branch_are_archived(folder, ending):
    store = CheckpointStore(folder, ending)
    store.save_best("net_g_best_psnr", "net_g_ema", weights(1), {"iteration": 8})
    store.save_best("net_g_best_ssim", "net_g_ema", weights(1), {"iteration": 4})
    assert store.keep_best_until(5, ["psnr", "ssim", "lpips"]) == ["psnr", "lpips"]
    names = {path.name for path in folder.models.iterdir()}
    assert names == {f"net_g_best_psnr.{ending}.superseded", f"net_g_best_ssim.{ending}"}


def test_state_of_another_format_is_refused(folder):
    store = CheckpointStore(folder)
    store.save(5, {"net_g": weights(5)}, {"iteration": 5, "optimizer": {}}, {"net_g": {"arch": "x"}})
    with pytest.raises(
        CheckpointError, match=rf"5\.state was written by another version .* \(format 1, this is {FORMAT}\)"
    ) as e:
        store.newest()
    assert "path.pretrain_network_g" in str(e.value)
    assert sorted(path.name for path in folder.training_states.iterdir()) == ["5.json", "5.state"]


def rewrite(folder, iteration, state=None, record=None) -> None:
    """Replace a state or a record by one whose checksums are right."""
    place = folder.training_states / f"{iteration}.json"
    known = json.loads(place.read_text())
    if state is not None:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
        (folder.training_states / f"{iteration}.state").write_bytes(data)
        known["files"][f"{iteration}.state"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    place.write_text(json.dumps(known if record is None else record(known)))


@pytest.mark.parametrize("lost", ["window", "stream", "progress", "identity", "rng"])
def test_whole_file_that_is_no_state_is_passed_over(folder, lost):
    store = CheckpointStore(folder)
    save(store, 10)
    save(store, 20)
    rewrite(folder, 20, {key: value for key, value in STATE.items() if key != lost})
    restored, (warning,) = store.newest()
    assert restored.iteration == 10
    assert f"20.state: {lost}: Field required" in warning


def test_state_of_another_iteration_is_passed_over(folder):
    store = CheckpointStore(folder)
    save(store, 10)
    save(store, 20)
    rewrite(folder, 20, state_of(30))
    restored, (warning,) = store.newest()
    assert restored.iteration == 10
    assert "20.state: progress.iteration: 30 in the state of 20" in warning


@pytest.mark.parametrize("content", [[1], 5, "x", None, torch.ones(2)])
def test_state_of_another_kind_is_passed_over(folder, content):
    store = CheckpointStore(folder)
    save(store, 10)
    save(store, 20)
    rewrite(folder, 20, {"a": 1})
    with pytest.raises(CheckpointError, match="format 1"):
        store.load(20)
    rewrite(folder, 20, {**STATE, "format": [content]})
    with pytest.raises(CheckpointError, match="format unknown"):
        store.load(20)
    if content is not None:
        rewrite(folder, 20, content)
        assert store.newest()[0].iteration == 10


def test_record_without_the_network_is_passed_over(folder):
    store = CheckpointStore(folder)
    save(store, 10)
    save(store, 20)

    def without(record):
        return record | {
            "files": {name: one for name, one in record["files"].items() if name != "net_g_20.safetensors"}
        }

    rewrite(folder, 20, record=without)
    restored, (warning,) = store.newest()
    assert restored.iteration == 10
    assert "net_g_20 is missing" in warning


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_weights_that_are_not_finite_are_passed_over(folder, ending):
    store = CheckpointStore(folder, ending)
    save(store, 10)
    bad = weights(20)
    bad["conv.weight"][0, 0, 0, 0] = float("nan")
    store.save(20, {"net_g": bad}, state_of(20), {"net_g": {"arch": "x"}})
    restored, (warning,) = store.newest()
    assert restored.iteration == 10
    assert f"net_g_20.{ending}: conv.weight has a value that is not finite" in warning


def test_state_that_asks_for_memory_it_does_not_hold_is_passed_over(folder):
    store = CheckpointStore(folder)
    save(store, 20)
    data = b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R."
    (folder.training_states / "20.state").write_bytes(data)
    record = json.loads((folder.training_states / "20.json").read_text())
    record["files"]["20.state"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder.training_states / "20.json").write_text(json.dumps(record))
    with pytest.raises(DamagedCheckpoint, match=r"20\.state would take 2\.1 GB that it does not hold"):
        store.load(20)


def test_weights_of_no_checkpoint_are_found(folder):
    store = CheckpointStore(folder)
    for iteration in (10, 20, 30, 40):
        save(store, iteration)
    assert store.unrecorded_weights() == []
    store.supersede_after(30)
    for name in ("30.json", "30.state"):
        (folder.training_states / name).unlink()
    store.save_best("net_g_best_psnr", "net_g", weights(1), {"iteration": 40})
    assert [path.name for path in store.unrecorded_weights()] == ["net_g_30.safetensors", "net_g_ema_30.safetensors"]


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_names_and_kinds_of_a_network_come_back_as_they_are(folder, ending):
    tensors = {"module.generator.w": torch.ones(2), "module.generator.phase": torch.ones(2) + 1j}
    store = CheckpointStore(folder, ending)
    store.save(5, {"net_d": tensors, "net_g": tensors}, state_of(5), {"net_g": {"arch": "x"}, "net_d": {"arch": "y"}})
    found = store.load(5).weights["net_d"]
    assert found.keys() == tensors.keys()
    assert torch.equal(found["module.generator.phase"], torch.ones(2) + 1j)
