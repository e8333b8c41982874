"""Small datasets of photo-like images, and a run on them that is stepped by hand."""

from pathlib import Path

import pytest
from bookkit import Book
from imagekit import write_pairs
from runkit import write_options

from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.measuring.bench import Bench
from traiNNer.run.build import open_dataset

SMALL = {
    "network_g": {"type": "paragonsr2", "num_feat": 8, "num_groups": 1, "num_blocks": 1, "band_kernel_size": 3},
    "train": {"ema_decay": 0.9, "scheduler": None, "optim_g": {"lr": 1e-4}},
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with hr/ and lr/ of twelve pairs, 2x, LQ 60x70."""
    write_pairs(tmp_path / "photos", 12, (60, 70), smooth=True)
    return tmp_path / "photos"


@pytest.fixture
def options(photos, tmp_path):
    folders = {"dataroot_gt": str(photos / "hr"), "dataroot_lq": str(photos / "lr")}
    path = write_options(tmp_path, SMALL | {"datasets": {"train": folders, "val": folders}})
    return load_options(path, TrainOptions).options


@pytest.fixture
def bench(options):
    made = Bench(options, {key: open_dataset(options, key, Book()) for key in options.datasets})
    yield made
    if "sets" in vars(made):
        made.close()
