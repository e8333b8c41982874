import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from exportkit import traced

from traiNNer.errors import ConfigError
from traiNNer.traits import Requirement
from traiNNer.upscaling import onnx
from traiNNer.upscaling.command import open_runtime
from traiNNer.upscaling.network import open_network
from traiNNer.upscaling.onnx import open_onnx
from traiNNer.utils.upscaling import upscale_image

MISSING = Requirement("no_such_package", "pip install no-such-package")
THERE = Requirement("json", "")


@pytest.fixture
def runtime_of_onnx(monkeypatch, tmp_path):
    """Return a function that plants an onnxruntime whose networks double their input, and an ONNX file."""
    used: list[list[str]] = []

    def plant(shape=("n", 3, "h", "w"), kind="tensor(float)", run=None, about=None):
        def double(_, feeds):
            return [feeds["x"].repeat(2, axis=2).repeat(2, axis=3)]

        module = ModuleType("onnxruntime")
        session = SimpleNamespace(
            get_inputs=lambda: [SimpleNamespace(name="x", shape=list(shape), type=kind)],
            get_modelmeta=lambda: SimpleNamespace(custom_metadata_map=about or {}),
            run=run or double,
        )
        module.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
        module.set_default_logger_severity = lambda level: None
        module.InferenceSession = lambda path, providers: used.append(providers) or session
        monkeypatch.setattr(onnx, "check_onnx_file", lambda path: None)
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
        (tmp_path / "x.onnx").write_bytes(b"x")
        return tmp_path / "x.onnx"

    plant.used = used
    return plant


def test_device_is_left_alone_where_the_cpu_is_asked_for(runtime_of_onnx):
    path = runtime_of_onnx()
    open_onnx(path, (THERE,))
    open_onnx(path, (THERE,), use_cpu=True)
    assert runtime_of_onnx.used == [["CUDAExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]]


@pytest.mark.parametrize(("text", "found"), [("33", 33), ("-1", 1), ("0", 1), ("9999", 1), ("1" * 5000, 1), ("x", 1)])
def test_smallest_side_is_read_and_bounded(runtime_of_onnx, text, found):
    assert open_onnx(runtime_of_onnx(about={onnx.LEAST_SIDE: text}), (THERE,)).least_side == found


def test_images_below_the_smallest_side_are_padded(runtime_of_onnx, monkeypatch):
    def double(_, feeds):
        assert min(feeds["x"].shape[2:]) >= 33
        return [feeds["x"].repeat(2, axis=2).repeat(2, axis=3)]

    path = runtime_of_onnx(run=double, about={onnx.LEAST_SIDE: "33"})
    monkeypatch.setattr(onnx, "require", lambda *_: None)
    network = open_network(path, open_runtime(use_cpu=True))
    output = upscale_image(network.call, torch.rand(1, 3, 20, 50), network.scale, network.traits)
    assert output.shape == (1, 3, 40, 100)


def test_empty_file_is_refused(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    (tmp_path / "x.onnx").write_bytes(b"")
    with pytest.raises(ConfigError, match="is not a readable ONNX file"):
        open_onnx(tmp_path / "x.onnx")


def test_missing_package_is_named_with_its_command(tmp_path):
    with pytest.raises(ConfigError, match="install it with: pip install no-such-package"):
        open_onnx(tmp_path / "x.onnx", (MISSING,))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such ONNX file"):
        open_onnx(tmp_path / "x.onnx", (THERE,))


@pytest.mark.parametrize("kind", ["tensor(float)", "tensor(float16)"])
def test_images_go_through_in_its_type(runtime_of_onnx, kind):
    call = open_onnx(runtime_of_onnx(kind=kind), (THERE,))
    images = torch.rand(2, 3, 4, 5)
    stored = images.half().float() if "16" in kind else images
    assert torch.equal(call(images), stored.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize(
    ("shape", "kind", "said"),
    [
        (("n", 3, 64, 64), "tensor(float)", "alone: export it with dynamic sizes"),
        (("n", 3), "tensor(float)", "does not take one batch of images"),
        (("n", 3, "h", "w"), "tensor(uint8)", "does not take one batch of images"),
    ],
)
def test_file_that_takes_something_else_is_refused(runtime_of_onnx, shape, kind, said):
    with pytest.raises(ConfigError, match=said):
        open_onnx(runtime_of_onnx(shape, kind), (THERE,))


@pytest.mark.parametrize(("text", "kind"), [("Failed to allocate memory", MemoryError), ("bad shape", RuntimeError)])
def test_errors_are_those_of_torch_networks(runtime_of_onnx, text, kind):
    def run(*_):
        raise Exception(text)

    with pytest.raises(kind, match=text):
        open_onnx(runtime_of_onnx(run=run), (THERE,))(torch.rand(1, 3, 4, 4))


def test_real_file_gives_what_torch_gives(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 3, padding=1), torch.nn.PixelShuffle(2))
    opened = open_network(traced(network, tmp_path / "x.onnx"), open_runtime(use_cpu=True))
    x = torch.rand(1, 3, 9, 13)
    assert opened.scale == 2
    assert np.allclose(opened.call(x), network(x).detach(), atol=1e-5)
