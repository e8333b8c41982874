"""The device that a run takes by itself, and why."""

import os
from dataclasses import dataclass
from typing import Literal

import torch

from traiNNer.utils.nvidia import cards_and_driver, install_line


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


def idle_card(device: Device) -> str | None:
    """Return what to say of an NVIDIA card that torch cannot use, with the cure; None if there is none or it is hidden.

    Costs a call of NVIDIA's tool, where its driver is installed.
    """
    if device.kind != "cpu" or os.environ.get("CUDA_VISIBLE_DEVICES", "x").strip() in ("", "-1"):
        return None
    found = cards_and_driver()
    if found is None:
        return None
    (card, *_), driver = found
    why = "is made for the CPU only" if not device.built_for else f"cannot use it ({why_no_cuda() or device.built_for})"
    line = install_line(driver)
    cure = f"install one that can, and start again:\n  {line}" if line else "update the NVIDIA driver"
    return f"There is a {card}, but this torch {why}, so the run uses the CPU; {cure}"


def _built_for() -> str | None:
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return "MPS" if torch.backends.mps.is_built() else None
