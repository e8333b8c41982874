import json
import os
import pickle
import random
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from traiNNer.engine.checkpoint.weights_file import read_weights
from traiNNer.errors import ConfigError


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return nn.ModuleDict({"body": nn.Conv2d(3, 4, 3), "up": nn.Conv2d(4, 12, 3)}).state_dict()


@pytest.mark.parametrize("wrap", [None, "params", "params_ema", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_and_prefixes_are_detected(tmp_path, wrap, prefix):
    tensors = {prefix + name: tensor for name, tensor in state().items()}
    torch.save({wrap: tensors} if wrap else tensors, tmp_path / "w.pth")
    assert set(read_weights(tmp_path / "w.pth").tensors) == set(state())


def test_ema_is_preferred_and_a_key_can_be_named(tmp_path):
    torch.save({"params": state(), "params_ema": {k: v + 1 for k, v in state().items()}}, tmp_path / "w.pth")
    assert torch.equal(read_weights(tmp_path / "w.pth").tensors["up.bias"], state()["up.bias"] + 1)
    assert torch.equal(read_weights(tmp_path / "w.pth", "params").tensors["up.bias"], state()["up.bias"])
    with pytest.raises(ConfigError, match=r"no entry 'net'.*it has: params, params_ema"):
        read_weights(tmp_path / "w.pth", "net")


foreign_pickles = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


class Payload:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@foreign_pickles
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_weights_file_is_reported_and_never_runs(tmp_path, protocol, legacy):
    marker = tmp_path / "executed"
    payload = {"params": Payload(f"touch {marker}"), "w": torch.ones(1)}
    torch.save(payload, tmp_path / "w.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ConfigError, match=r"w.pth contains code \((posix|nt|os).system\), not only weights. Refused."):
        read_weights(tmp_path / "w.pth")
    assert not marker.exists()


@foreign_pickles
def test_plain_pickles_are_not_executed(tmp_path):
    marker = tmp_path / "executed"
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Payload(f"touch {marker}")))
    with pytest.raises(ConfigError):
        read_weights(tmp_path / "w.pth")
    assert not marker.exists()


def test_compressed_decompression_bomb_is_refused_unread(tmp_path):
    torch.save({"params": {"w": torch.zeros(20_000_000)}}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as source, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for name in source.namelist():
            bomb.writestr(name, source.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(ConfigError, match=r"would need 0.1 GB from a 0.1 MB file. Refused."):
        read_weights(tmp_path / "bomb.pth")


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("w.pth", b"", r"is empty \(0 bytes\)"),
        ("w.safetensors", b"", r"is empty \(0 bytes\)"),
        ("w.safetensors", b"\xff" * 64, "not a readable safetensors file"),
        ("w.pth", b"<html>", "is a web page"),
        ("5.state", b"x", "is a training state, not a weights file. To go on from it use path.resume_state"),
    ],
)
def test_non_weights_files_are_identified(tmp_path, name, data, text):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=text):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("content", [{"iteration": 5, "optimizer": {}}, {"progress": {}, "learners": {}}])
def test_state_under_another_name_is_recognized(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="is a training state"):
        read_weights(tmp_path / "w.pth")


def test_any_damaged_file_is_refused_with_a_message(tmp_path):
    torch.save({"params": state()}, tmp_path / "good.pth")
    data = (tmp_path / "good.pth").read_bytes()
    generator = random.Random(0)
    for number in range(300):
        damaged = bytearray(data[: generator.randrange(1, len(data))] if number % 3 == 0 else data)
        for _ in range(generator.randrange(1, 20)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        path = tmp_path / "damaged.pth"
        path.write_bytes(damaged)
        try:
            read_weights(path)
        except ConfigError as error:
            assert str(path) in str(error)  # noqa: PT017 - a file with damage only in its tensors is still readable


def test_folder_is_not_a_weights_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder, not a file"):
        read_weights(tmp_path)


EMA = {f"ema_model.{name}": tensor + 1 for name, tensor in state().items()}
ONLINE = {f"online_model.{name}": tensor for name, tensor in state().items()}
NESTED = {
    "params-ema": {"params-ema": state()},
    "prefix": {f"netG.{name}": tensor for name, tensor in state().items()},
    "nested": {"state_dict": {"params": state()}},
    "deep": {"epoch": 3, "state_dict": {"model": {"params": {f"module.{k}": v for k, v in state().items()}}}},
    "one entry": {"generator": state(), "epoch": 5},
    "swa": {"n_averaged": torch.tensor(7), **{f"module.{name}": tensor for name, tensor in state().items()}},
    "ema-pytorch": {"initted": torch.tensor(True), "step": torch.tensor(5), **ONLINE, **EMA},
}


@pytest.mark.parametrize("kind", NESTED)
def test_nested_wrappers_are_taken_off(tmp_path, kind):
    torch.save(NESTED[kind], tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth").tensors
    add = 1 if kind == "ema-pytorch" else 0
    assert found.keys() == state().keys()
    assert all(torch.equal(found[name], tensor + add) for name, tensor in state().items())


def test_several_sets_of_tensors_need_a_name(tmp_path):
    torch.save({"generator": state(), "judge": {"params": state()}}, tmp_path / "w.pth")
    with pytest.raises(
        ConfigError, match=r"holds several sets of tensors: name one with path.param_key_g: generator, judge"
    ):
        read_weights(tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth", "judge").tensors.keys() == state().keys()


def test_buffers_named_like_counters_are_kept(tmp_path):
    torch.save({**state(), "step": torch.tensor(5)}, tmp_path / "w.pth")
    assert "step" in read_weights(tmp_path / "w.pth").tensors


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.float8_e5m2])
def test_values_that_are_not_finite_are_refused_by_name(tmp_path, kind, value):
    tensors = {name: tensor.clone() for name, tensor in state().items()}
    tensors["up.weight"][3, 1, 2, 0] = value
    tensors["up.weight"] = tensors["up.weight"].to(kind)
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=r"w\.safetensors cannot be used: up\.weight has a value that is not finite"):
        read_weights(tmp_path / "w.safetensors")


def test_endless_names_are_cut_and_no_names_are_told(tmp_path):
    torch.save({"k" * 1_000_000: torch.tensor(float("nan"))}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=f"cannot be used: {'k' * 100}… has a value"):
        read_weights(tmp_path / "w.pth")
    torch.save({}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"holds no named tensors; its entries: none$"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensor: tensor.to_sparse(), "up.bias is a sparse tensor"),
        (lambda tensor: tensor + 1j, "up.bias holds complex numbers"),
        (lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8), "up.bias is a quantized tensor"),
        (lambda tensor: tensor.to("meta"), "up.bias is a meta tensor"),
    ],
)
def test_other_tensors_are_refused_by_name(tmp_path, change, words):
    torch.save({**state(), "up.bias": change(state()["up.bias"])}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=words):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "about",
    [5, [], "x", None, "[" * 100_000, {"options": "x"}, {"scale": "2"}, {"scale": 0}, {"arch": 5}, {"iteration": []}],
)
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_metadata_of_other_kinds_is_refused_in_a_sentence(tmp_path, about, ending):
    text = about if isinstance(about, str) and about.startswith("[") else json.dumps(about)
    if ending == "pth":
        torch.save({"params": state(), "traiNNer": text}, tmp_path / "w.pth")
    else:
        save_file(state(), tmp_path / "w.safetensors", {"traiNNer": text})
    with pytest.raises(ConfigError, match="has metadata that traiNNer did not write") as caught:
        read_weights(tmp_path / f"w.{ending}")
    assert len(str(caught.value)) < 600


def test_files_of_this_program_keep_their_names(tmp_path):
    tensors = {f"generator.{name}": tensor for name, tensor in state().items()}
    save_file(tensors, tmp_path / "w.safetensors", {"traiNNer": '{"arch": "x", "options": {}, "scale": 2}'})
    assert read_weights(tmp_path / "w.safetensors").tensors.keys() == tensors.keys()


def test_counters_alone_are_kept(tmp_path):
    torch.save({"step": torch.tensor(5)}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").tensors.keys() == {"step"}
