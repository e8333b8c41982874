"""Compact: what is trained here opens with spandrel, and what is published opens here."""

import pytest
import torch
from runkit import run, workplace, write_options
from safetensors.torch import save_file
from spandrel import ModelLoader
from torch import nn

from traiNNer import build_network, load_network
from traiNNer.archs.spandrel.compact import infer_options
from traiNNer.engine.checkpoint.weights import load_pretrained
from traiNNer.engine.checkpoint.weights_file import read_weights
from traiNNer.errors import ConfigError

VARIANTS = {"compact": (64, 16), "ultracompact": (64, 8), "superultracompact": (24, 8)}
SIZES = [(name, {}, size) for name, size in VARIANTS.items()] + [
    ("compact", {"num_feat": 32, "num_conv": 8}, (32, 8)),
    ("superultracompact", {"num_conv": 1}, (24, 1)),
]


def made(name: str, scale: int, **options) -> nn.Module:
    """Return a network whose output is far from that of any other."""
    torch.manual_seed(0)
    network = build_network(name, scale=scale, **options).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize(("name", "options", "size"), SIZES)
def test_saved_weights_open_with_spandrel_and_here(tmp_path, name, options, size, scale):
    network, x = made(name, scale, **options), torch.rand(1, 3, 9, 8)
    path = tmp_path / "bare.safetensors"
    save_file(network.state_dict(), path)
    found = ModelLoader().load_from_file(path)
    assert (found.architecture.id, found.scale, found.tags) == ("Compact", scale, [f"{size[0]}nf", f"{size[1]}nc"])
    with torch.no_grad():
        expected = network(x)
        assert torch.equal(found.model.eval()(x), expected)
        assert torch.equal(load_network(path)(x), expected)


@pytest.mark.parametrize("key", ["params", "params_ema", None])
def test_files_as_published_open(tmp_path, key):
    network, x = made("compact", 4, num_conv=3), torch.rand(1, 3, 6, 7)
    state = network.state_dict()
    torch.save({key: state} if key else state, tmp_path / "realesr.pth")
    with torch.no_grad():
        assert torch.equal(load_network(tmp_path / "realesr.pth")(x), network(x))


def test_forward_is_that_of_the_paper():
    network, x = made("superultracompact", 2, num_conv=2).double(), torch.rand(2, 3, 7, 5, dtype=torch.float64)
    state, y = network.state_dict(), x
    for at in range(0, 5, 2):
        y = nn.functional.conv2d(y, state[f"body.{at}.weight"], state[f"body.{at}.bias"], padding=1)
        y = torch.where(y > 0, y, y * state[f"body.{at + 1}.weight"][:, None, None])
    y = nn.functional.conv2d(y, state["body.6.weight"], state["body.6.bias"], padding=1)
    expected = nn.functional.pixel_shuffle(y, 2) + x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", VARIANTS)
def test_options_are_read_from_tensors(name):
    expected = dict(zip(("num_feat", "num_conv"), VARIANTS[name], strict=True)) | {"in_chans": 3, "scale": 3}
    assert infer_options(build_network(name, scale=3).state_dict()) == {"type": name} | expected
    free = build_network(name, scale=4, num_feat=20, num_conv=5, in_chans=1).state_dict()
    assert infer_options(free) == {"type": "compact", "num_feat": 20, "num_conv": 5, "in_chans": 1, "scale": 4}


def test_tensors_of_other_families_are_not_taken_for_it():
    state = build_network("compact", scale=2, num_conv=2).state_dict()
    assert infer_options(build_network("paragonsr2_nano", scale=2).state_dict()) is None
    assert infer_options({}) is None
    assert infer_options(state | {"head.weight": torch.zeros(1)}) is None
    assert infer_options({name: value for name, value in state.items() if ".1." not in name}) is None
    assert infer_options(state | {"body.6.weight": torch.zeros(7, 64, 3, 3)}) is None


def test_weights_of_another_variant_are_refused_with_their_own_name(tmp_path):
    save_file(made("superultracompact", 2).state_dict(), tmp_path / "w.safetensors")
    file, about = read_weights(tmp_path / "w.safetensors"), {"arch": "compact", "options": {}, "scale": 2}
    with pytest.raises(ConfigError, match=r"Its tensors look like network_g: \{type: superultracompact"):
        load_pretrained(build_network("compact", scale=2), about, file, strict=False)


@pytest.mark.parametrize(
    ("network", "is_imported"), [({"type": "paragonsr2_nano"}, False), ({"type": "compact"}, True)]
)
def test_spandrel_is_imported_only_for_its_networks(tmp_path, network, is_imported):
    write_options(workplace(tmp_path), {"network_g": network})
    call = "import sys; from traiNNer.cli import main; print(main(sys.argv[1:]), 'spandrel' in sys.modules)"
    (tmp_path / "call.py").write_text(call)
    done = run(str(tmp_path / "call.py"), "train", "-opt", "options.yml", "--check", folder=tmp_path, PATH="")
    assert done.output.splitlines()[-1] == f"0 {is_imported}"
