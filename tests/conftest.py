"""Test setup: a folder of tests runs in two processes with one thread each; a single file in one process.

`-n 0` runs any of it in one process, `-n 4` in four; without pytest-xdist (`-p no:xdist`) it is one.
"""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from traiNNer.utils.threads import let_threads_sleep

# torch reads these when it is imported. Networks as small as those of the tests gain nothing from more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
let_threads_sleep()
# A busy machine is slow, and not wrong.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Run the tests in two processes, unless the command line names single files or sets `-n`."""
    is_open = config.getoption("numprocesses", 0) is None and config.option.dist == "no" and not config.option.tx
    is_worker = hasattr(config, "workerinput")
    if is_open and not is_worker and not config.option.usepdb and any(Path(arg).is_dir() for arg in config.args):
        config.option.numprocesses, config.option.dist = 2, "worksteal"


def pytest_collection_finish():
    """Freeze torch and the collected tests, so that garbage collection skips them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def what_came_before_is_frozen():
    """Freeze also what earlier modules imported: code under test collects garbage, among millions of objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep the caches of the user who runs the tests out of them. Returns the folder."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder
