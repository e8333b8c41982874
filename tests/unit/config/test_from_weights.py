"""`network_g` may be left out where the weights say what they are."""

import pytest

from traiNNer.config.load import load_options
from traiNNer.config.options import TestOptions
from traiNNer.errors import ConfigError

FILE = """\
name: run
{scale}
datasets:
  test: {{type: PairedImageDataset, dataroot_gt: hr, dataroot_lq: lr}}
path: {{pretrain_network_g: {weights}}}
{network}
"""


def load(tmp_path, network_of, scale="", network="", weights="net.pth"):
    path = tmp_path / "options.yml"
    path.write_text(FILE.format(scale=scale, network=network, weights=weights))
    return load_options(path, TestOptions, (), network_of)


def nano(path, key):
    assert (path, key) == ("net.pth", None)
    return {"type": "paragonsr2_nano", "hr_blocks": 0, "scale": 4}


def test_network_and_scale_come_from_the_weights(tmp_path):
    loaded = load(tmp_path, nano)
    assert (loaded.options.scale, loaded.options.network_g.type) == (4, "paragonsr2_nano")
    assert loaded.options.network_g.options.model_dump()["hr_blocks"] == 0
    assert "hr_blocks: 0  # path.pretrain_network_g" in loaded.effective()
    assert load(tmp_path, nano, scale="scale: 2").options.scale == 2


def test_written_network_is_taken_as_it_is(tmp_path):
    def never(path, key):
        raise AssertionError

    loaded = load(tmp_path, never, "scale: 2", "network_g: {type: compact, num_conv: 3}")
    assert loaded.options.network_g.type == "compact"


def test_weights_that_say_nothing_are_one_problem(tmp_path):
    def silent(path, key):
        raise ConfigError("net.pth does not say which arch it holds")

    with pytest.raises(ConfigError) as raised:
        load(tmp_path, silent, "scale: 2")
    assert len(raised.value.problems) == 1
    assert "Without network_g the weights must say which network they are of" in str(raised.value)
    assert "line 5" in str(raised.value)


def test_scale_that_nothing_says_must_be_written(tmp_path):
    with pytest.raises(ConfigError, match="scale"):
        load(tmp_path, lambda path, key: {"type": "compact", "scale": None})
