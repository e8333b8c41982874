"""A working folder with small pairs, and option files loaded from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bookkit import Book
from runkit import workplace, write_options

from traiNNer.config.load import Loaded, load_options
from traiNNer.config.options import TrainOptions

SMALL = {
    "network_g": {"type": "paragonsr2", "num_feat": 8, "num_groups": 1, "num_blocks": 1, "band_kernel_size": 3},
    "train": {"total_iter": 2, "scheduler": None},
    "val": {"val_freq": None},
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    """Return the working folder of the test."""
    monkeypatch.chdir(workplace(tmp_path))
    return tmp_path


@pytest.fixture
def loaded(place) -> Callable[..., Loaded]:
    """Return a function that loads the small training file with changes."""

    def load(*sets: str, model: type = TrainOptions, changes: dict[str, Any] | None = None) -> Loaded:
        return load_options(write_options(place, SMALL if changes is None else changes), model, sets)

    return load


@pytest.fixture
def book() -> Book:
    """Return a log that records."""
    return Book()
