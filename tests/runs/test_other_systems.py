"""Windows and macOS, as far as Linux can tell: without what only POSIX systems have, and with spawned data workers."""

import os
import subprocess
import sys
import textwrap

import pytest
import yaml
from imagekit import write_pairs
from runkit import REPOSITORY

# Python runs this at the start of the run and of every data worker.
WITHOUT = '''
import os, signal, sys
from importlib.abc import MetaPathFinder

PACKAGE = os.path.join(os.environ["OURS"], "traiNNer") + os.sep
MISSING = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}

class Absent(MetaPathFinder):
    """Lets nothing of ours import them; torch, which has a build for each system, may."""

    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while frame and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        if name in MISSING and frame and frame.f_code.co_filename.startswith(PACKAGE):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return None

for name in MISSING:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for name in ("fork", "forkpty", "getpgid", "setsid", "killpg", "nice", "mkfifo",
             "sched_getaffinity", "sched_setaffinity", "O_NOFOLLOW"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE"):
    if hasattr(signal, name):
        delattr(signal, name)
'''
MAIN = """
import functools, importlib, pkgutil, subprocess, sys, types

def run():
    import traiNNer
    # Only now: Python's own subprocess takes it for the sign of Windows.
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=lambda handle, mode, count: None)
    if "--import" in sys.argv:
        for module in pkgutil.walk_packages(traiNNer.__path__, "traiNNer."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        print("imported")
        return 0
    from traiNNer.cli.main import main
    from traiNNer.data import loader
    make = loader.TrainLoader.__init__
    loader.TrainLoader.__init__ = functools.partialmethod(make, start_method="spawn")
    return main()

if __name__ == "__main__":
    sys.exit(run())
"""
PLUGIN = """
from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.registry import DATASETS


@DATASETS.register()
class DatasetOfAPlugin(PairedImageDataset):
    '''Pairs of somebody else.'''
"""
SETS = {
    "PairedImageDataset": {"dataroot_lq": "lr"},
    "SingleGTDataset": {"degradations": [{"type": "resize"}]},
    "DatasetOfAPlugin": {"dataroot_lq": "lr"},
}


@pytest.fixture
def elsewhere(tmp_path):
    """Return a function that calls a program on such a system."""
    system = tmp_path / "system"
    system.mkdir()
    (system / "sitecustomize.py").write_text(WITHOUT)
    (tmp_path / "main.py").write_text(MAIN)

    def call(*arguments):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"PYTHONPATH": os.pathsep.join([str(system), str(REPOSITORY)]), "OURS": str(REPOSITORY)}
        environment |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        command = [sys.executable, "main.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return call


def test_every_module_is_imported_without_what_only_posix_has(elsewhere):
    done = elsewhere("--import")
    assert done.stdout.endswith("imported\n"), done.stderr


@pytest.mark.nightly
@pytest.mark.parametrize("dataset", SETS)
def test_dataset_trains_with_spawned_workers(elsewhere, tmp_path, dataset):
    write_pairs(tmp_path, 3, size=(16, 16), smooth=True)
    (tmp_path / "mine.py").write_text(PLUGIN)
    train = {"type": dataset, "dataroot_gt": "hr", "lq_size": 8, "batch_size_per_gpu": 1, "num_worker_per_gpu": 1}
    options = {
        "name": "run",
        "scale": 2,
        "num_gpu": 0,
        "plugins": ["mine.py"],
        "network_g": {"type": "compact", "num_feat": 4, "num_conv": 1},
        "datasets": {
            "train": train | SETS[dataset],
            "val": {"type": "PairedImageDataset", "dataroot_gt": "hr", "dataroot_lq": "lr"},
        },
        "train": {"total_iter": 2, "losses": [{"type": "L1Loss"}], "optim_g": {"type": "AdamW", "lr": 1e-4}},
        "val": {"val_freq": 2, "metrics": {"psnr": {}}},
        "logger": {"save_checkpoint_freq": 2},
    }
    (tmp_path / "my.yml").write_text(yaml.safe_dump(options))
    done = elsewhere("train", "-opt", "my.yml")
    assert done.returncode == 0, textwrap.indent(done.stdout + done.stderr, "  ")
    assert "finished: 2/2" in done.stdout
    assert (tmp_path / "experiments/run/models/net_g_ema_2.safetensors").is_file()
    again = elsewhere("train", "-opt", "my.yml", "--set", "train.total_iter=3", "--auto_resume")
    assert "finished: 3/3" in again.stdout, again.stdout + again.stderr
