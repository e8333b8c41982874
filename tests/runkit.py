"""Real runs of train.py and test.py in separate processes, forked from a server that has imported torch once."""

import gc
import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from imagekit import write_pairs

REPOSITORY = Path(__file__).parents[1]
PATIENCE_S = 600.0  # ends what hangs; far above what a busy machine needs
SMALL = {"type": "paragonsr2", "num_feat": 8, "num_groups": 1, "num_blocks": 1}
"""The network of nearly every run: with all kinds of layers, and quick."""
_context = multiprocessing.get_context("forkserver")
# Modules that nearly every run needs, components included, which are otherwise imported on demand.
_context.set_forkserver_preload(
    [
        "traiNNer.run.train",
        "traiNNer.run.test",
        "traiNNer.archs.paragonsr2.network",
        "traiNNer.data.datasets.paired_images",
        "traiNNer.losses.pixel",
        "traiNNer.metrics.psnr",
        "traiNNer.metrics.ssim",
        "traiNNer.optim.optimizers",
        "traiNNer.optim.schedules",
        "torch._dynamo",
        "pytest",
    ]
)


@dataclass
class Result:
    """How a run ended: its exit code (negative: killed by that signal) and everything it printed."""

    code: int | None
    output: str


def _child(
    script: str, arguments: list[str], folder: str, log: str, environment: dict[str, str], terminal: str | None
) -> None:
    gc.freeze()
    os.chdir(folder)
    if terminal:
        os.setsid()
        handle = os.open(terminal, os.O_RDWR)  # a leader of a session without a terminal is now controlled by this one
        for number in range(3):
            os.dup2(handle, number)
        os.close(handle)
    else:
        with Path(log).open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN if os.environ.get("NOHUP") else signal.SIG_DFL)
    sys.argv = [script, *arguments]
    runpy.run_path(str(REPOSITORY / script), run_name="__main__")


class Run:
    """One process that runs a script of the repository in a folder, and in a terminal if its name is given."""

    def __init__(
        self, script: str, *arguments: str, folder: Path, terminal: str | None = None, **environment: str
    ) -> None:
        self.log = folder / f"output-{time.monotonic_ns()}.txt"
        environment = {"XDG_CACHE_HOME": str(folder / "cache"), "TORCH_HOME": str(folder / "torch")} | environment
        call = (script, [str(a) for a in arguments], str(folder), str(self.log), environment, terminal)
        self.process = _context.Process(target=_child, args=call)
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def wait_for(self, text: str, timeout: float = PATIENCE_S) -> None:
        limit = time.monotonic() + timeout
        while text not in self.output():
            assert self.process.is_alive(), f"ended before '{text}':\n{self.output()}"
            assert time.monotonic() < limit, f"no '{text}' in:\n{self.output()}"
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def finish(self, timeout: float = PATIENCE_S) -> Result:
        self.process.join(timeout)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            raise AssertionError(f"still running after {timeout} s:\n{self.output()}")
        return Result(self.process.exitcode, self.output())


def run(script: str, *arguments: str, folder: Path, timeout: float = PATIENCE_S, **environment: str) -> Result:
    """Run a script to its end."""
    return Run(script, *arguments, folder=folder, **environment).finish(timeout)


def ranks(folder: Path, *arguments: str) -> list[Run]:
    """Start the two ranks of a run."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        Run("train.py", "-opt", "options.yml", *arguments, folder=folder, RANK=str(r), LOCAL_RANK=str(r), **common)
        for r in range(2)
    ]


def base_options() -> dict[str, Any]:
    """Return a complete tiny training file as a tree: 12 iterations, validation every 4, checkpoints every 5."""
    data = {"type": "PairedImageDataset"}
    return {
        "name": "run",
        "scale": 2,
        "num_gpu": 0,
        "manual_seed": 7,
        "datasets": {
            "train": data
            | {"dataroot_gt": "data/hr", "dataroot_lq": "data/lr", "lq_size": 12, "batch_size_per_gpu": 2}
            | {"num_worker_per_gpu": 0},
            "val": data | {"dataroot_gt": "val/hr", "dataroot_lq": "val/lr"},
        },
        "network_g": SMALL,
        "train": {
            "total_iter": 12,
            "optim_g": {"type": "AdamW", "lr": 1e-3},
            "scheduler": {"type": "MultiStepLR", "milestones": [6], "gamma": 0.5},
            "losses": [{"type": "L1Loss"}],
        },
        "val": {"val_freq": 4, "metrics": {"psnr": {}, "ssim": {}}},
        "logger": {"print_freq": 3, "save_checkpoint_freq": 5, "use_tb_logger": False, "report": False},
    }


def merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a tree with changes merged in deeply; None removes a key, and another type of network replaces it."""
    result = dict(tree)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif key == "network_g" and value.get("type", SMALL["type"]) != SMALL["type"]:
            result[key] = value
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def write_options(folder: Path, changes: dict[str, Any] | None = None, name: str = "options.yml") -> Path:
    """Write the tiny training file with changes."""
    path = folder / name
    path.write_text(yaml.safe_dump(merged(base_options(), changes or {}), sort_keys=False), encoding="utf-8")
    return path


def workplace(folder: Path, images: int = 5) -> Path:
    """Make a folder with training and validation pairs."""
    write_pairs(folder / "data", images, (20, 24), smooth=True)
    write_pairs(folder / "val", 2, (20, 24), seed=99, smooth=True)
    return folder


def record(folder: Path, name: str = "run") -> list[dict[str, Any]]:
    """Return the run's metrics.jsonl without the keys that depend on speed."""
    lines = (folder / "experiments" / name / "metrics.jsonl").read_text().splitlines()
    timed = ("it_per_s", "data_wait", "time", "seconds")
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]
