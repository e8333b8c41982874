"""The device that a run takes by itself, and why."""

import os
from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True)
class Device:
    """The device that a run takes by itself: its kind, its name, why it is taken, and what torch says of it.

    `memory` is the device's own memory in bytes, None where it has none or does not tell; `built_for` is what the
    installed torch can use besides the CPU (`CUDA 12.8`); `architecture` is the card's generation (`sm_90`).
    """

    kind: Literal["cuda", "mps", "cpu"]
    name: str
    why: str
    threads: int
    index: int | None = None
    count: int = 0
    memory: int | None = None
    built_for: str | None = None
    architecture: str | None = None

    @property
    def handle(self) -> torch.device:
        """What torch calls it."""
        return torch.device(self.kind) if self.index is None else torch.device(self.kind, self.index)


def find_device() -> Device:
    """Return the device that a run takes by itself. Computes nothing and draws nothing on it."""
    threads, built_for = torch.get_num_threads(), _built_for()
    if torch.cuda.is_available():
        # A launcher that shows each process its own card alone still counts the processes of the machine.
        index = int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()
        card = torch.cuda.get_device_properties(index)
        memory, count = card.total_memory, torch.cuda.device_count()
        architecture = None if torch.version.hip else f"sm_{card.major}{card.minor}"
        why = "CUDA is available"
        return Device("cuda", card.name, why, threads, index, count, memory, built_for, architecture)
    if torch.backends.mps.is_available():
        return Device("mps", "Apple GPU", "MPS is available, CUDA is not", threads, count=1, built_for=built_for)
    return Device("cpu", "CPU", "no CUDA or MPS device found", threads, built_for=built_for)


def why_no_cuda() -> str:
    """Return what torch answers when CUDA is requested, e.g. that the driver is too old; empty if it can."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).split(". ")[0].partition("\n")[0]
    return ""


def _built_for() -> str | None:
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return "MPS" if torch.backends.mps.is_built() else None
