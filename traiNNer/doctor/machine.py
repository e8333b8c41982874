"""Facts about this machine that cost nothing to find out: what is there, not yet whether it works."""

import contextlib
import os
import platform
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traiNNer.utils.distribution import DISTRIBUTION, version_of
from traiNNer.utils.host import Cores, Memory, cores, memory
from traiNNer.utils.processor import cpu_name
from traiNNer.utils.shared_memory import refusal
from traiNNer.utils.threads import ThreadWaiting, let_threads_sleep

if TYPE_CHECKING:
    from traiNNer.engine.runtime.device import Device

GIB = 2**30
OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
NATIVE_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Features of a processor, on x86 and on Arm, as Linux names them."""
SETTINGS = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Space:
    """Bytes of a file system in all and free, and why it cannot be written, if it cannot."""

    path: str
    total: int
    free: int
    refusal: str | None = None


@dataclass(frozen=True)
class Graphics:
    """NVIDIA cards as the system sees them, their driver, and what torch says where it cannot use them."""

    cards: tuple[str, ...] = ()
    driver: str | None = None
    complaint: str = ""


@dataclass(frozen=True)
class Trial:
    """Something that was really tried: the seconds it took, or the first line of its error.

    Where it `is_timed_out`, whether it works is not known.
    """

    seconds: float | None = None
    error: str | None = None
    is_timed_out: bool = False


@dataclass(frozen=True)
class Decoder:
    """How fast one core reads images of so many megapixels: images a second by file type."""

    megapixels: float
    images_per_s: Mapping[str, float]


@dataclass(frozen=True)
class Facts:
    """Everything known of a machine; None is what was not checked, and `failures` says what could not be found out.

    `requirements` are the least versions that this project asks for, by the names of `versions`; `settings` are
    variables of the environment that decide over devices and threads.
    """

    system: str | None = None
    cpu: str | None = None
    versions: Mapping[str, str | None] | None = None
    requirements: Mapping[str, str] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    waiting: ThreadWaiting | None = None
    device: "Device | None" = None
    cores: Cores | None = None
    memory: Memory | None = None
    shared_memory: Space | None = None
    disk: Space | None = None
    graphics: Graphics | None = None
    device_memory: Memory | None = None
    precisions: Mapping[str, Trial] | None = None
    torchvision: Trial | None = None
    decoder: Decoder | None = None
    compiling: Trial | None = None
    failures: Mapping[str, str] = field(default_factory=dict)


def machine_facts(folder: Path = Path("experiments")) -> Facts:
    """Return what can be known without trying anything; `folder` is where the runs would be. Raises nothing."""
    probes: dict[str, Callable[[], Any]] = {
        "system": system,
        "cpu": cpu_name,
        "versions": versions,
        "requirements": requirements,
        "settings": lambda: {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "waiting": let_threads_sleep,
        "device": device,
        "cores": cores,
        "memory": memory,
        "shared_memory": shared_memory,
        "disk": lambda: disk(folder),
    }
    return collect(probes)


def machine_id() -> str:
    """Return a short text that is the same as long as measurements of this machine stay valid, as a key for them."""
    facts = collect({"cpu": cpu_name, "device": device, "cores": cores, "memory": memory, "versions": versions})
    found, installed = facts.device, facts.versions or {}
    name = facts.cpu if found is None or found.kind == "cpu" else found.name
    size = found.memory if found and found.memory else facts.memory.total if facts.memory else 0
    parts = [
        name or "unknown device",
        f"{size / GIB:.0f} GiB",
        f"{facts.cores.usable if facts.cores else '?'} cores",
        f"{found.threads if found else '?'} threads",
        f"torch {installed.get('torch')}",
        f"traiNNer {installed.get('traiNNer')}",
    ]
    return ", ".join(parts)


def collect(probes: Mapping[str, Callable[[], Any]]) -> Facts:
    """Return what the probes find; one that fails leaves its reason in `failures` and stops no other."""
    found: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for name, probe in probes.items():
        try:
            found[name] = probe()
        except Exception as error:  # whatever a strange driver or a broken package raises
            failures[name] = first_line(error)
    return Facts(**found, failures=failures)


def first_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of its text that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.endswith("raised:")] or lines
    return f"{type(error).__name__}: {told[0][:300]}" if told else type(error).__name__


def system() -> str:
    """Return the operating system and its kind of processor: `Debian GNU/Linux 12, Linux 6.1.0, x86_64`."""
    parts = [f"{platform.system()} {platform.release()}", platform.machine()]
    with contextlib.suppress(OSError, KeyError):
        parts.insert(0, platform.freedesktop_os_release()["PRETTY_NAME"])
    return ", ".join(parts)


def has_native_bf16(root: Path = Path("/")) -> bool:
    """Tell whether the processor itself computes in bf16; in software it is many times slower than float32.

    A system that does not list what its processor can do counts as one that cannot.
    """
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    words = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return bool(words and NATIVE_BF16 & set(words[1].split()))


def versions() -> dict[str, str | None]:
    """Return the versions of what a run uses, read from the installed packages; None where one is missing."""
    found: dict[str, str | None] = {"Python": platform.python_version()}
    found["traiNNer"] = version_of(DISTRIBUTION)
    for name in ("torch", "torchvision", "numpy"):
        found[name] = version_of(name)
    found["OpenCV"] = next((version for name in OPENCV if (version := version_of(name))), None)
    return found


def requirements() -> dict[str, str]:
    """Return the least versions that this project asks for, by the names of `versions`; empty if not installed."""
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return {}
    found = [re.match(r"([\w-]+)>=([\d.]+)$", text) for text in wanted]
    least = {match[1]: match[2] for match in found if match}
    names = {"torch": "torch", "torchvision": "torchvision", "numpy": "numpy", OPENCV[0]: "OpenCV"}
    return {names[name]: version for name, version in least.items() if name in names}


def device() -> "Device":
    """Return the device that a run would take; torch's warnings are not shown here but asked for elsewhere."""
    from traiNNer.engine.runtime.device import find_device

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_device()


def shared_memory(path: Path = Path("/dev/shm")) -> Space | None:
    """Return the room for what data workers hand over, and whether two could start; None without such a folder."""
    if not path.is_dir():
        return None
    usage = shutil.disk_usage(path)
    return Space(str(path), usage.total, usage.free, refusal(2))


def disk(folder: Path) -> Space:
    """Return the room where `folder` is, or would be made, and whether a file can really be written there."""
    place = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    usage = shutil.disk_usage(place)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        return Space(str(place), usage.total, usage.free, error.strerror or type(error).__name__)
    return Space(str(place), usage.total, usage.free)
