"""Data workers started with spawn, as on systems without fork, do not have the imports of the main process."""

import sys

import pytest

from traiNNer.batch import ImageSet
from traiNNer.data.loader import TrainLoader
from traiNNer.errors import DataError
from traiNNer.utils import plugin_files

PLUGIN = """
import os

import numpy as np

from traiNNer.batch import ImageSet, Sample

# Only in the named process: a worker has its own state.
if os.environ.get("FAILS_OUTSIDE", str(os.getpid())) != str(os.getpid()):
    raise LookupError("no license in this process")


class PluginSet(ImageSet):
    def __init__(self, trouble=None):
        self.trouble = trouble

    def __len__(self):
        return 4

    def sample(self, index, rng):
        lq = np.full((2, 2, 3), index, np.uint8)
        lq[0, 0] = rng.integers(0, 256, 3)
        return Sample(lq, lq.repeat(2, 0).repeat(2, 1), f"key{index}")

    def whole(self, index):
        raise NotImplementedError

    def fingerprint(self):
        return {}
"""


@pytest.fixture(autouse=True)
def fresh_process(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin_files, "_imported", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def plugin(tmp_path):
    """Return a function that imports the plugin from a file of a name."""

    def make(name="own_set_of_test.py"):
        (tmp_path / name).write_text(PLUGIN)
        return plugin_files.import_file(tmp_path / name)

    return make


def stream(dataset, workers):
    options = {"seed": 1, "batch_size": 2, "total_iter": 3, "timeout_s": 120, "start_method": "spawn"}
    loader = TrainLoader(dataset, workers=workers, **options)
    try:
        return [(batch.lq.tolist(), batch.keys) for (batch,) in loader]
    finally:
        loader.close()


@pytest.mark.parametrize("name", ["own-set 2.py", "json.py"])
def test_plugin_dataset_gives_the_same_samples(plugin, name):
    dataset = plugin(name).PluginSet()
    assert stream(dataset, workers=1) == stream(dataset, workers=0)


def test_plugin_failure_in_a_worker_is_reported_with_its_cause(plugin, monkeypatch):
    dataset = plugin().PluginSet()
    import os

    monkeypatch.setenv("FAILS_OUTSIDE", str(os.getpid()))
    with pytest.raises(DataError, match="cannot load the dataset: LookupError: no license in this process"):
        stream(dataset, workers=1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torch's half-started iterator
def test_unpicklable_dataset_suggests_a_fix(plugin):
    dataset = plugin().PluginSet(trouble=lambda: None)
    with pytest.raises(DataError, match=r"PluginSet cannot be sent to data workers .*num_worker_per_gpu: 0"):
        stream(dataset, workers=1)


class Failing(ImageSet):
    """A dataset that ends the worker as an exception would."""

    def __len__(self):
        return 4

    def sample(self, index, rng):
        import os

        os._exit(1)

    def whole(self, index):
        raise NotImplementedError

    def fingerprint(self):
        return {}


def test_failed_worker_is_not_reported_as_oom():
    loader = TrainLoader(Failing(), seed=1, batch_size=1, total_iter=1, workers=1, timeout_s=30)
    with pytest.raises(DataError, match="Data worker ended with an error"):
        list(loader)
    loader.close()
