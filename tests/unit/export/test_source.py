import pytest
import torch
from archkit import Member, everyday
from exportkit import weights_file
from torch import nn
from upscalekit import tiny_network, write_weights

from traiNNer.archs.paragonsr2.release import ReleasedParagonSR2
from traiNNer.errors import ConfigError
from traiNNer.export.source import AnySize, decides_by_values, open_source, released
from traiNNer.registry import ARCHS
from traiNNer.traits import ArchTraits
from traiNNer.utils.upscaling import upscale_image

pytestmark = [pytest.mark.filterwarnings("ignore:torch.meshgrid")]


def member(name: str) -> Member:
    return next(member for member in everyday() if member.component.name == name)


def test_own_file_is_described(tmp_path):
    source = open_source(write_weights(tmp_path))
    assert (source.arch, source.scale, source.is_known_elsewhere, source.least_side) == ("compact", 2, True, 1)
    images = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        assert torch.equal(source.upscaled(images), tiny_network()(images))
        assert torch.equal(source.released(images), tiny_network()(images))


def test_paragonsr2_is_fused_and_not_known_elsewhere(tmp_path):
    source = open_source(weights_file(tmp_path, member("paragonsr2")))
    assert isinstance(source.released, ReleasedParagonSR2)
    assert not source.is_known_elsewhere


def test_span_is_released_without_what_only_trains(tmp_path):
    source = open_source(weights_file(tmp_path, member("span")))
    images = torch.rand(1, 3, 13, 10)
    torch.testing.assert_close(source.released(images), source.upscaled(images), rtol=0, atol=1e-5)
    names = [name for name, _ in source.released.named_parameters()]
    assert not [name for name in names if ".sk." in name or "eval_conv" in name]
    assert len(names) < len(list(source.network.parameters())) / 3


class Padding(nn.Module):
    """Pads to multiples of 6 for itself, and sees what it padded."""

    def __init__(self, mode):
        super().__init__()
        self.mode = mode
        self.conv = nn.Sequential(nn.Conv2d(3, 3, 5, padding=2), nn.Conv2d(3, 3, 3, padding=1))

    def forward(self, x):
        height, width = x.shape[-2:]
        bottom, right = -height % 6, -width % 6
        if bottom or right:
            x = nn.functional.pad(x, (0, right, 0, bottom), mode=self.mode)
        return self.conv(x)[..., :height, :width]


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_padding_of_the_network_itself_is_done_from_outside(mode):
    torch.manual_seed(0)
    network = Padding(mode).eval()
    form = released(network, ArchTraits(), 1)
    assert isinstance(form, AnySize)
    assert (form.multiple, form.mode) == (6, mode)
    images = torch.rand(1, 3, 20, 23)
    assert torch.equal(form(images), network(images))


@pytest.mark.parametrize(
    ("name", "chooses"),
    [pytest.param("seemore_t", True, marks=pytest.mark.nightly), ("compact", False), ("paragonsr2", False)],
)
def test_router_is_told_from_what_always_computes_the_same(tmp_path, name, chooses):
    source = open_source(weights_file(tmp_path, member(name)))
    assert decides_by_values(source.released, torch.rand(1, 3, 16, 16)) is chooses


def test_network_of_any_size_is_left_alone():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)).eval()
    assert released(network, ArchTraits(), 1) is network


@pytest.mark.parametrize("size", [(8, 16), (9, 15), (17, 31)])
def test_any_size_pads_as_upscaling_does(size):
    network, traits = (
        nn.Sequential(nn.Conv2d(3, 3, 5, padding=2), nn.Upsample(scale_factor=2)),
        ArchTraits(size_multiple=8),
    )
    images = torch.rand(2, 3, *size)
    assert torch.equal(AnySize(network, 8, 2)(images), upscale_image(network, images, 2, traits))


@pytest.mark.parametrize(
    ("name", "scale", "said"),
    [
        ("x.onnx", None, "is an ONNX file already"),
        ("tiny.safetensors", 4, "is of scale 2, not 4: leave --scale out"),
    ],
)
def test_unusable_request_is_refused(tmp_path, name, scale, said):
    write_weights(tmp_path)
    with pytest.raises(ConfigError, match=said):
        open_source(tmp_path / name, scale)


def test_missing_scale_is_asked_for(tmp_path):
    network = ARCHS.build("paragonsr2", member("paragonsr2").options, scale=3, seed=0)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    with pytest.raises(ConfigError, match="does not record its scale: add --scale"):
        open_source(tmp_path / "x.pth")


def test_file_of_spandrel_alone_is_opened(tmp_path):
    from spandrel.architectures.SAFMN import SAFMN

    theirs = SAFMN(dim=8, n_blocks=1, ffn_scale=2.0, upscaling_factor=2).eval()
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    assert open_source(tmp_path / "x.pth").scale == 2


def test_network_of_gray_images_is_refused(tmp_path):
    network = ARCHS.build("compact", {"num_feat": 4, "num_conv": 1, "in_chans": 1}, scale=2, seed=0)
    torch.save(network.state_dict(), tmp_path / "x.pth")
    with pytest.raises(ConfigError, match="does not take RGB images"):
        open_source(tmp_path / "x.pth")


def test_discriminator_is_refused(tmp_path):
    names = [component.name for component in ARCHS if component.traits.discriminates]
    network = ARCHS.build(names[0], {}, scale=2, seed=0)
    import json

    from safetensors.torch import save

    options = ARCHS[names[0]].options.parse({}).model_dump(mode="json")
    tensors = {name: tensor.clone().contiguous() for name, tensor in network.state_dict().items()}
    about = json.dumps({"arch": names[0], "scale": 2, "options": options})
    (tmp_path / "d.safetensors").write_bytes(save(tensors, {"traiNNer": about}))
    with pytest.raises(ConfigError, match="which judges images and makes none"):
        open_source(tmp_path / "d.safetensors")


def test_network_of_clips_takes_clips(tmp_path):
    source = open_source(weights_file(tmp_path, member("temporalspan")))
    assert (source.frames, source.scale, source.released) == (5, 2, source.network)
    assert source.upscaled(torch.rand(1, 5, 3, 9, 7)).shape == (1, 3, 18, 14)


class Middle(nn.Module):
    """Makes the middle frame of a clip whose sides are multiples of 8."""

    def forward(self, clip):
        assert clip.ndim == 5
        assert [side % 8 for side in clip.shape[-2:]] == [0, 0]
        return clip.mean(dim=(3, 4), keepdim=True)[:, 1] + clip[:, 1]


def test_clips_are_padded_like_images():
    form = released(Middle(), ArchTraits(size_multiple=8, frames_option="frames"), 1, 3)
    assert isinstance(form, AnySize)
    clip = torch.rand(2, 3, 3, 13, 10)
    torch.testing.assert_close(form(clip), upscale_image(Middle(), clip, 1, ArchTraits(size_multiple=8)))
