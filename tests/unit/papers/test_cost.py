import pytest
from exportkit import traced
from upscalekit import OPTIONS, tiny_network, write_weights

from traiNNer.export.source import open_source
from traiNNer.measuring.networks import OUTPUT
from traiNNer.papers import cost
from traiNNer.papers.cost import measure
from traiNNer.upscaling.command import open_runtime
from traiNNer.upscaling.network import open_network


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "OUTPUT", (72, 128))  # for the time; multiply-adds stay those of 1280 x 720
    write_weights(tmp_path)
    return open_network(tmp_path / "tiny.safetensors", open_runtime(use_cpu=True))


def test_cost_is_counted_and_measured(network, tmp_path):
    source = open_source(tmp_path / "tiny.safetensors")
    found = measure(network, source)
    wide = OPTIONS["num_feat"]
    pixels = OUTPUT[0] * OUTPUT[1] / 4
    assert found.parameters == sum(part.numel() for part in source.released.parameters())
    assert found.multiply_adds == 9 * pixels * (3 * wide + wide * wide + wide * 12)
    assert found.milliseconds > 0
    assert found.device.startswith("CPU")


def test_numbers_of_an_onnx_file_are_counted(network, tmp_path):
    pytest.importorskip("onnx")
    path = traced(tiny_network(), tmp_path / "x.onnx")
    found = measure(network, path)
    assert found.parameters == pytest.approx(sum(part.numel() for part in tiny_network().parameters()), abs=8)
    assert found.multiply_adds is None
