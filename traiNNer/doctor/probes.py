"""What has to be tried to be known of a machine: precisions, compiler, decoder. Takes seconds, leaves nothing."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from traiNNer.doctor.machine import Decoder, Facts, Graphics, Memory, Trial, collect, first_line
from traiNNer.utils.nvidia import cards_and_driver

if TYPE_CHECKING:
    from traiNNer.engine.runtime.device import Device
    from traiNNer.engine.runtime.runtime import Runtime

COMPILE_LIMIT_S = 60
COMPILE_COMMAND = (sys.executable, "-c", "from traiNNer.doctor.probes import compiled_step; compiled_step()")
COMPILER_CACHES = "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"
# For three small kernels precompiled headers and a pool of compiling processes cost more than they save.
COMPILER_SETTINGS = {"TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS": "0", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
PHOTO_SIZE = 1224, 1632  # 2 megapixels
NVIDIA_VENDOR, DISPLAY_CLASS = "0x10de", "0x03"


def try_out(facts: Facts, quick: bool = False, tell: Callable[[str], None] = lambda _: None) -> Facts:
    """Return the facts with what can only be known by trying; `quick` leaves the compiler out. Raises nothing.

    Args:
        facts: what `machine_facts` found.
        quick: do not try the compiler, which takes most of the time.
        tell: receives what is being done before it is done.
    """
    device = facts.device
    steps: dict[str, tuple[str, Callable[[], Any]]] = {
        "graphics": ("asking for graphics cards and their driver", lambda: graphics(device)),
        "torchvision": ("importing torchvision", try_torchvision),
    }
    if device:
        if device.kind == "cuda":
            steps["device_memory"] = ("asking the device for its memory", lambda: device_memory(device))
        steps["precisions"] = ("computing in float32, bf16 and fp16", lambda: try_precisions(device))
    steps["decoder"] = ("reading PNG and JPEG of 2 megapixels", measure_decoder)
    if device and not quick:
        about = f"compiling a small network in a separate process (at most {COMPILE_LIMIT_S} s, --quick leaves it out)"
        steps["compiling"] = (about, try_compiling)
    found = collect({name: _announced(tell, *step) for name, step in steps.items()})
    tried = {name: getattr(found, name) for name in steps}
    return replace(facts, **tried, failures={**facts.failures, **found.failures})


def _announced(tell: Callable[[str], None], text: str, probe: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        tell(text)
        return probe()

    return run


# The card


def graphics(device: "Device | None", root: Path = Path("/")) -> Graphics:
    """Return the NVIDIA cards that the system knows of, whether or not torch can use them."""
    cards, driver = cards_and_driver() or _from_system(root)
    if not cards or device is None or device.kind == "cuda":
        return Graphics(cards, driver)
    from traiNNer.engine.runtime.device import why_no_cuda

    return Graphics(cards, driver, why_no_cuda())


def _from_system(root: Path) -> tuple[tuple[str, ...], str | None]:
    driver, cards = None, []
    with contextlib.suppress(OSError):
        text = (root / "proc/driver/nvidia/version").read_text(errors="replace")
        driver = next((word for word in text.split() if word[:1].isdigit() and "." in word), None)
    for folder in sorted((root / "sys/bus/pci/devices").glob("*")):
        with contextlib.suppress(OSError):
            vendor, kind = ((folder / name).read_text().strip() for name in ("vendor", "class"))
            if vendor == NVIDIA_VENDOR and kind.startswith(DISPLAY_CLASS):
                cards.append(f"NVIDIA card at {folder.name}")
    return tuple(cards), driver


def device_memory(device: "Device") -> Memory | None:
    """Return the device's own memory, and how much other programs leave of it."""
    memory = _runtime(device).memory()
    return None if memory is None else Memory(memory.total, memory.total - memory.used)


# Precision


def try_precisions(device: "Device") -> dict[str, Trial]:
    """Compute a small convolution forward and backward in each precision; the seconds are those of one such step."""
    import torch

    kinds = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    return {name: _tried(lambda half=half: _seconds_of_a_step(device, half)) for name, half in kinds.items()}


def _tried(work: Callable[[], float]) -> Trial:
    try:
        return Trial(seconds=work())
    except Exception as error:  # it is what is to be found out
        return Trial(error=first_line(error))


def _seconds_of_a_step(device: "Device", half: Any, patience_s: float = 0.5) -> float:
    """Return the shortest of at least two steps: the first one pays for what is set up once."""
    from torch import nn

    runtime = _runtime(device, half=half)
    with runtime.rng.saved():
        network = runtime.place(nn.Conv2d(32, 32, 3, padding=1))
    side = 64 if runtime.reads_are_free else 256
    seconds, start = [], time.perf_counter()
    while len(seconds) < 2 or time.perf_counter() - start < patience_s:
        began = time.perf_counter()
        _step(runtime, network, runtime.upscaler(network), side, channels=32)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _step(runtime: "Runtime", network: Any, upscale: Callable[[Any], Any], side: int, channels: int) -> Any:
    """Run forward and backward on an image of a fixed pattern; returns the output. Raises what does not work."""
    import torch

    values = torch.linspace(-1, 1, 2 * channels * side * side, device=runtime.device)
    output = upscale(values.sin().reshape(2, channels, side, side))
    runtime.backward(output.square().mean())
    for parameter in network.parameters():
        # Reading the value waits for the device, so that the time is the whole step's.
        if not bool(parameter.grad.isfinite().all()):
            raise FloatingPointError("the gradient is not finite")
    return output.detach()


def _runtime(device: "Device", **options: Any) -> "Runtime":
    from traiNNer.engine.runtime.runtime import Runtime

    return Runtime(device.handle, device.why, **options)


def try_torchvision() -> Trial:
    """Import torchvision, which fails where it was made for another torch."""

    def work() -> float:
        start = time.perf_counter()
        import torchvision  # noqa: F401 - whether it can be imported is the question

        return time.perf_counter() - start

    return _tried(work)


# Compiling


def try_compiling(command: tuple[str, ...] | None = None, limit_s: float | None = None) -> Trial:
    """Compile and run one step of a small network in a separate process, which is ended at the limit.

    Nothing that was compiled before is used, so that a compiler that is gone is noticed.
    """
    limit_s = COMPILE_LIMIT_S if limit_s is None else limit_s
    with tempfile.TemporaryDirectory(prefix="trainner-", ignore_cleanup_errors=True) as folder:
        package = str(Path(__file__).parents[2])
        search = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        environment = os.environ | COMPILER_SETTINGS | dict.fromkeys(COMPILER_CACHES, folder) | {"PYTHONPATH": search}
        pipe = subprocess.PIPE
        start = time.perf_counter()
        child = subprocess.Popen(
            command or COMPILE_COMMAND, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
        )
        try:
            output, complaint = child.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return Trial(error=f"not done after {limit_s:g} s", is_timed_out=True)
        finally:
            _end(child)
        error = _told_by_child(child.returncode, output, complaint)
        return Trial(error=error) if error else Trial(seconds=time.perf_counter() - start)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the child and what it started: the compiler starts processes too."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.communicate()


def _told_by_child(code: int, output: bytes, complaint: bytes) -> str | None:
    """Return the error that the child reports in its last line, or how it ended without one."""
    lines = output.decode(errors="replace").strip().splitlines()
    with contextlib.suppress(ValueError, IndexError, KeyError, TypeError):
        return json.loads(lines[-1])["error"]
    last = complaint.decode(errors="replace").strip().splitlines()[-1:]
    ended = f"the process was ended by signal {-code}" if code < 0 else f"the process ended with code {code}"
    return ": ".join([ended, *(line[:300] for line in last)])


def compiled_step() -> None:
    """Be the child: print `{"error": null}`, or what went wrong."""
    from traiNNer.doctor.machine import device

    try:
        _compile_and_compare(device())
    except Exception as error:  # it is what is to be found out
        sys.stdout.write(json.dumps({"error": first_line(error)}) + "\n")
    else:
        sys.stdout.write(json.dumps({"error": None}) + "\n")


def _compile_and_compare(device: "Device") -> None:
    import torch
    from torch import nn

    plain, compiled = _runtime(device), _runtime(device, use_compile=True)
    network = plain.place(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU()))
    expected = _step(plain, network, plain.upscaler(network), side=16, channels=3)
    output = _step(compiled, network, compiled.upscaler(network), side=16, channels=3)
    if not torch.allclose(output, expected, rtol=1e-2, atol=1e-3):
        raise ArithmeticError("the compiled network gives other values")


# The decoder


def measure_decoder(patience_s: float = 1.0) -> Decoder:
    """Measure how fast one core reads a made photo of 2 megapixels as PNG and as JPEG, as training reads it."""
    import cv2

    from traiNNer.imaging.image_file import read_image

    picture = photo(*PHOTO_SIZE)
    rates = {}
    with tempfile.TemporaryDirectory(prefix="trainner-") as folder:
        for name, options in (("PNG", []), ("JPEG", [cv2.IMWRITE_JPEG_QUALITY, 95])):
            path = Path(folder) / f"photo.{name.lower()}"
            path.write_bytes(cv2.imencode(path.suffix, picture, options)[1].tobytes())
            rates[name] = 1 / _median_seconds(lambda path=path: read_image(path), patience_s)
    return Decoder(PHOTO_SIZE[0] * PHOTO_SIZE[1] / 1e6, rates)


def _median_seconds(work: Callable[[], Any], patience_s: float) -> float:
    seconds, start = [], time.perf_counter()
    while len(seconds) < 3 or time.perf_counter() - start < patience_s:
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Make an image with the statistics of a photo: detail falls with its frequency, plus the grain of a sensor.

    Returns:
        H, W, 3 uint8; as a PNG it takes about as many bits a pixel as a photo.
    """
    import cv2

    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 0.5, np.float32)
    size = 4
    while size < min(height, width):
        field = rng.standard_normal((size, size * width // height, 3), np.float32)
        image += 0.3 / size**0.5 * cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
        size *= 2
    image += 0.006 * rng.standard_normal(image.shape, np.float32)
    return (image.clip(0, 1) * 255).astype(np.uint8)
