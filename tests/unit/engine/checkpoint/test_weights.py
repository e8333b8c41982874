import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from traiNNer.engine.checkpoint.weights import load_into, load_pretrained, network_of, rebuild
from traiNNer.engine.checkpoint.weights_file import read_weights
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


def test_report_counts_and_names():
    report = load_into(Tiny(2), {"body.weight": torch.zeros(4, 3, 3, 3), "extra": torch.ones(1)})
    assert str(report) == "loaded 1/4 tensors; new: body.bias, up.weight, up.bias; not used: extra"
    long = load_into(Tiny(2), {"k" * 1_000_000: torch.ones(1)})
    assert str(long).endswith(f"not used: {'k' * 100}…")


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


def test_bare_weights_that_fit_any_scale_are_told(tmp_path):
    torch.save(ARCHS.build("paragonsr2_nano", scale=4).state_dict(), tmp_path / "x4.pth")
    about = {"arch": "paragonsr2_nano", "options": {}, "scale": 2}
    network = ARCHS.build("paragonsr2_nano", scale=2)
    notes, report = load_pretrained(network, about, read_weights(tmp_path / "x4.pth"), strict=True)
    assert report.loaded == report.total
    assert notes == [f"{tmp_path / 'x4.pth'} does not record its scale, and its tensors fit at any: 2 is assumed."]


def test_scale_that_shapes_show_is_not_doubted(tmp_path):
    torch.save(ARCHS.build("superultracompact", scale=2).state_dict(), tmp_path / "x2.pth")
    about = {"arch": "superultracompact", "options": {}, "scale": 2}
    network = ARCHS.build("superultracompact", scale=2)
    assert load_pretrained(network, about, read_weights(tmp_path / "x2.pth"), strict=True)[0] == []


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_quantized_weights_are_refused_by_name(tmp_path, kind):
    tensors = state() | {"up.weight": (state()["up.weight"] * 50).to(kind)}
    save_file(tensors, tmp_path / "q.safetensors")
    words = rf"up\.weight holds {str(kind).removeprefix('torch.')} numbers.*take the file that they were made from"
    with pytest.raises(ConfigError, match=words):
        load_pretrained(Tiny(2), ABOUT, read_weights(tmp_path / "q.safetensors"), strict=False)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_other_precisions_are_loaded(tmp_path, kind):
    save_file({name: tensor.to(kind) for name, tensor in state().items()}, tmp_path / "w.safetensors")
    network = Tiny(2)
    load_pretrained(network, ABOUT, read_weights(tmp_path / "w.safetensors"), strict=True)
    assert torch.equal(network.up.weight, state()["up.weight"].to(kind).float())


def test_first_part_of_all_names_is_left_out_where_nothing_else_fits(tmp_path):
    save_file({f"student.{name}": tensor for name, tensor in state().items()}, tmp_path / "w.safetensors")
    report = load_pretrained(Tiny(2), ABOUT, read_weights(tmp_path / "w.safetensors"), strict=True)[1]
    assert report.loaded == 4


def test_names_of_an_arch_on_other_shapes_are_no_traceback(tmp_path):
    names = ARCHS.build("paragonsr2_nano", scale=2).state_dict()
    save_file({name: torch.ones(1) for name in names}, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match="no known arch recognizes its tensors"):
        rebuild(read_weights(tmp_path / "w.safetensors"))
