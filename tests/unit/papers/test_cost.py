import pytest
from upscalekit import OPTIONS, write_weights

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


def test_parts_of_a_foreign_file_are_not_counted(network):
    found = measure(network, None)
    assert (found.parameters, found.multiply_adds) == (None, None)
