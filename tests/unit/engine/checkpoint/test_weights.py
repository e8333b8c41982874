import json
import os
import pickle
import random
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from traiNNer.engine.checkpoint.weights import load_into, load_pretrained, network_of, read_weights, rebuild
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS

ABOUT = {"arch": "tinyforweights", "options": {"channels": 4}, "scale": 2}


class Tiny(nn.Module):
    def __init__(self, scale: int, channels: int = 4) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, channels, 3, padding=1)
        self.up = nn.Conv2d(channels, 3 * scale * scale, 3, padding=1)

    def forward(self, lq):
        return self.up(self.body(lq))


@pytest.fixture(autouse=True)
def tiny_arch():
    if "tinyforweights" not in ARCHS:
        ARCHS.register(Tiny, name="tinyforweights")


def state(scale: int = 2, **options) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return Tiny(scale, **options).state_dict()


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


def test_another_scale_loads_matching_tensors_and_reports_it(tmp_path):
    save_file(
        state(4), tmp_path / "x4.safetensors", {"traiNNer": '{"arch": "tinyforweights", "scale": 4, "options": {}}'}
    )
    network = Tiny(2)
    notes, report = load_pretrained(network, ABOUT, read_weights(tmp_path / "x4.safetensors"), strict=False)
    assert "trained at scale 4" in notes[0]
    assert str(report).startswith("loaded 2/4 tensors; new: up.weight, up.bias")
    assert torch.equal(network.body.weight, state(4)["body.weight"])
    with pytest.raises(ConfigError, match="does not fit tinyforweights completely"):
        load_pretrained(Tiny(2), ABOUT, read_weights(tmp_path / "x4.safetensors"), strict=True)


def test_weights_of_another_arch_are_refused(tmp_path):
    save_file({"other.weight": torch.ones(3)}, tmp_path / "o.safetensors", {"traiNNer": '{"arch": "span"}'})
    with pytest.raises(ConfigError, match=r"does not fit tinyforweights: loaded 0/4.*It holds weights of span"):
        load_pretrained(Tiny(2), ABOUT, read_weights(tmp_path / "o.safetensors"), strict=False)


def test_file_rebuilds_its_network(tmp_path):
    about = '{"arch": "TinyForWeights", "scale": 3, "options": {"channels": 6}}'
    save_file(state(3, channels=6), tmp_path / "w.safetensors", {"traiNNer": about})
    network = rebuild(read_weights(tmp_path / "w.safetensors"))
    assert network.body.out_channels == 6
    assert not network.training
    assert torch.equal(network.up.weight, state(3, channels=6)["up.weight"])


def test_unknown_arch_file_is_reported(tmp_path):
    save_file({"what.weight": torch.ones(3)}, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="no known arch recognizes"):
        rebuild(read_weights(tmp_path / "w.safetensors"))


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
        ("w.pth", b"<html>", "not a readable weights file"),
        ("5.state", b"x", "is a training state, not a weights file. To go on from it use path.resume_state"),
    ],
)
def test_non_weights_files_are_identified(tmp_path, name, data, text):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=text):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("state", [{"iteration": 5, "optimizer": {}}, {"progress": {}, "learners": {}}])
def test_state_under_another_name_is_recognized(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="is a training state"):
        read_weights(tmp_path / "w.pth")


def test_report_counts_and_names():
    report = load_into(Tiny(2), {"body.weight": torch.zeros(4, 3, 3, 3), "extra": torch.ones(1)})
    assert str(report) == "loaded 1/4 tensors; new: body.bias, up.weight, up.bias; not used: extra"


def test_any_damaged_file_is_refused_with_a_message(tmp_path):
    torch.save({"params": state(2)}, tmp_path / "good.pth")
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


def test_old_weights_with_another_alpha_are_refused(tmp_path):
    from traiNNer.archs.paragonsr2.network import ParagonSR2

    sizes = {"num_feat": 24, "num_groups": 2, "num_blocks": 2, "ffn_expansion": 1.5, "band_kernel_size": 9}
    options = sizes | {"hr_blocks": 0}
    old = ParagonSR2(scale=2, **options, upsampler_alpha=1.0)
    tensors = {name.replace("hr_conv_in.", "upsampler."): value for name, value in old.state_dict().items()}
    save_file(tensors, tmp_path / "old.safetensors")
    file = read_weights(tmp_path / "old.safetensors")
    about = {"arch": "paragonsr2", "scale": 2, "options": options | {"upsampler_alpha": 0.5}}
    with pytest.raises(ConfigError, match=r"It was trained with upsampler_alpha 1\.0, here it is 0\.5"):
        load_pretrained(ParagonSR2(scale=2, **options), about, file, strict=True)
    notes, _ = load_pretrained(ParagonSR2(scale=2, **options), about, file, strict=False)
    assert any("upsampler_alpha 1.0, here it is 0.5" in note for note in notes)
    nano, about = ARCHS.build("paragonsr2_nano", scale=2), {"arch": "paragonsr2_nano", "scale": 2, "options": {}}
    with pytest.raises(ConfigError, match=r"look like network_g: \{type: paragonsr2, num_feat: 24.*hr_blocks: 0"):
        load_pretrained(nano, about, file, strict=True)


def test_bare_weights_without_a_scale_default_to_2x_with_a_warning(tmp_path):
    save_file(ARCHS.build("paragonsr2_nano", scale=4).state_dict(), tmp_path / "bare.safetensors")
    file = read_weights(tmp_path / "bare.safetensors")
    with pytest.warns(UserWarning, match="does not record its scale: 2 is assumed"):
        assert rebuild(file).scale == 2
    assert rebuild(file, scale=4).scale == 4


def test_incomplete_metadata_is_refused(tmp_path):
    save_file(state(2), tmp_path / "w.safetensors", {"traiNNer": '{"arch": "tinyforweights"}'})
    with pytest.raises(ConfigError, match="does not say completely what it is of"):
        rebuild(read_weights(tmp_path / "w.safetensors"))


def test_folder_is_not_a_weights_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder, not a file"):
        read_weights(tmp_path)


def test_published_file_that_spandrel_knows_is_rebuilt(tmp_path):
    network = ARCHS.build("esrgan", {"num_filters": 8, "num_blocks": 1}, scale=4).eval()
    torch.save({"params_ema": network.state_dict()}, tmp_path / "4xPublished.pth")
    assert network_of(tmp_path / "4xPublished.pth")["num_filters"] == 8
    x = torch.rand(1, 3, 6, 7)
    with torch.no_grad():
        assert torch.equal(rebuild(read_weights(tmp_path / "4xPublished.pth"))(x), network(x))


def test_network_of_a_file_is_what_its_metadata_say(tmp_path):
    about = {"arch": "compact", "options": {"num_feat": 8}, "scale": 2}
    network = ARCHS.build("compact", {"num_feat": 8}, scale=2)
    save_file(network.state_dict(), tmp_path / "w.safetensors", {"traiNNer": json.dumps(about)})
    assert network_of(tmp_path / "w.safetensors") == {"type": "compact", "num_feat": 8, "scale": 2}


def test_file_of_nobody_has_no_network(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="does not say which arch it holds"):
        network_of(tmp_path / "w.pth")


def test_file_of_another_scale_is_named_without_metadata(tmp_path):
    torch.save(ARCHS.build("compact", {"num_feat": 8}, scale=4).state_dict(), tmp_path / "w.pth")
    network = ARCHS.build("compact", {"num_feat": 8}, scale=2)
    about = {"arch": "compact", "options": {}, "scale": 2}
    notes, report = load_pretrained(network, about, read_weights(tmp_path / "w.pth"), strict=False)
    assert any("was trained at scale 4, this run is at scale 2" in note for note in notes)
    assert report.new
