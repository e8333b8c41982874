import pytest

from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError

FILE = """
name: clips
scale: 2
num_gpu: 0
datasets:
  train: {{type: {dataset}, dataroot_gt: a, dataroot_lq: b, lq_size: 16{more}}}
network_g: {{type: {network}}}
train:
  use_moa: {moa}
  total_iter: 10
  optim_g: {{type: adamw, lr: 1e-3}}
  losses: [{{type: l1loss}}]
val: {{val_enabled: false}}
"""


def check(tmp_path, dataset="pairedvideodataset", network="temporalspan", more="", moa="false"):
    file = tmp_path / "o.yml"
    file.write_text(FILE.format(dataset=dataset, network=network, more=more, moa=moa))
    return load_options(file, TrainOptions)


def test_clips_of_the_network_are_in_order(tmp_path):
    check(tmp_path)
    check(tmp_path, network="temporalspan, num_frames: 3", more=", clip_size: 3")
    check(tmp_path, network="spanplus", more=", clip_size: 1")


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"more": ", clip_size: 3"}, "datasets.train.clip_size", "must be 5: temporalspan has num_frames: 5"),
        ({"network": "temporalspan, num_frames: 7"}, "datasets.train.clip_size", "must be 7"),
        ({"network": "spanplus"}, "datasets.train.clip_size", "must be 1: spanplus sees single images"),
        ({"dataset": "pairedimagedataset"}, "datasets.train.type", "temporalspan sees 5 at once: use pairedvideo"),
        ({"moa": "true"}, "train.use_moa", "temporalspan is trained with clips"),
    ],
)
def test_clips_of_another_length_are_refused(tmp_path, changes, key, words):
    with pytest.raises(ConfigError) as found:
        check(tmp_path, **changes)
    ((problem),) = found.value.problems
    assert problem.key == key
    assert words in problem.message
