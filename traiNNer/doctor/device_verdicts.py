"""Verdicts about the device: which one, its memory, its precisions, the compiler."""

from collections.abc import Iterator

from traiNNer.doctor.finding import Finding, size
from traiNNer.doctor.machine import GIB, Facts, Graphics, Trial
from traiNNer.utils.nvidia import install_line

# Below the first there is no room for a tiny network.
LEAST_DEVICE_MEMORY, LITTLE_DEVICE_MEMORY = GIB // 4, 4 * GIB


def device_name(facts: Facts) -> str:
    """Return what a user calls the device of runs."""
    if facts.device is None or facts.device.kind == "cpu":
        return f"CPU ({facts.cpu})" if facts.cpu else "CPU"
    return facts.device.name


def judge_device(facts: Facts) -> Iterator[Finding]:
    """Say which device runs take, and why a card stays idle."""
    device, name = facts.device, device_name(facts)
    assert device is not None
    if device.kind != "cpu":
        more = f", the first of {device.count}" if device.count > 1 else ""
        yield Finding("device", "ok", f"{name} ({device.why}){more}")
        return
    found = f"{name}, {device.why}"
    if facts.graphics and facts.graphics.cards:
        meaning, fix = _why_unused(facts, facts.graphics)
        yield Finding("device", "warning", f"{found}; but there is: {', '.join(facts.graphics.cards)}", meaning, fix)
    else:
        yield Finding("device", "ok", found, "Small networks train well on a CPU; large ones need a graphics card.")


def _why_unused(facts: Facts, graphics: Graphics) -> tuple[str, str]:
    """Return why torch does not use a card that the system has, and the cure."""
    device, hidden = facts.device, facts.settings.get("CUDA_VISIBLE_DEVICES")
    assert device is not None
    if not (device.built_for or "").startswith("CUDA"):
        return (
            "The installed torch is made for the CPU only, so the card stays idle.",
            install_line(graphics.driver or "")
            or "Install torch with CUDA: choose it at https://pytorch.org/get-started/locally/ and run its command.",
        )
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides the card.", "unset CUDA_VISIBLE_DEVICES"
    if graphics.driver is None:
        return (
            f"No NVIDIA driver is loaded, so the card stays idle. torch says: {graphics.complaint or 'nothing'}",
            "Install NVIDIA's driver; in a container, start it with --gpus all.",
        )
    return (
        f"torch is made for {device.built_for} and cannot use the driver {graphics.driver}. "
        f"torch says: {graphics.complaint or 'nothing'}",
        "Update the NVIDIA driver, or install a torch for an older CUDA: https://pytorch.org/get-started/locally/",
    )


def judge_device_memory(facts: Facts) -> Iterator[Finding]:
    """Say how much of the device's own memory is left."""
    memory = facts.device_memory
    assert memory is not None
    free = memory.available or 0
    found = f"{size(memory.total)}, {size(free)} free"
    if free < LEAST_DEVICE_MEMORY:
        meaning, fix = "A run would end with out of memory.", "See `nvidia-smi` for what uses it, or set num_gpu: 0."
        yield Finding("device memory", "problem", found, meaning, fix)
    elif free < memory.total / 2:
        meaning = "Other programs hold more than half of it; batches have to be smaller."
        yield Finding("device memory", "warning", found, meaning, "See `nvidia-smi` for what uses it.")
    elif memory.total < LITTLE_DEVICE_MEMORY:
        meaning, fix = "Only small networks and batches fit.", "Lower batch_size_per_gpu and lq_size; use use_amp."
        yield Finding("device memory", "warning", found, meaning, fix)
    else:
        yield Finding("device memory", "ok", found)


def judge_precisions(facts: Facts) -> Iterator[Finding]:
    """Say what the device can compute in, and whether half precision is worth it."""
    assert facts.precisions is not None
    kind = facts.device.kind if facts.device else "cpu"
    plain = facts.precisions["float32"]
    if plain.seconds is None:
        architecture = f" ({facts.device.architecture})" if facts.device and facts.device.architecture else ""
        yield Finding(
            "float32",
            "problem",
            f"a small convolution fails: {plain.error}",
            f"The installed torch cannot compute on this device{architecture}.",
            "Install a torch made for it (https://pytorch.org/get-started/locally/), or train with num_gpu: 0.",
        )
        return
    yield Finding("float32", "ok", f"works, {_ms(plain)} for a small convolution forward and backward")
    for name, option in (("bf16", "use_amp with amp_bf16"), ("fp16", "use_amp")):
        if name == "fp16" and kind == "cpu":
            works = "works" if facts.precisions[name].error is None else "does not work"
            yield Finding(name, "ok", f"{works}; runs on the CPU do not use it")
        else:
            yield _judge_half(name, option, facts.precisions[name], plain.seconds)


def _judge_half(name: str, option: str, trial: Trial, plain_s: float) -> Finding:
    if trial.seconds is None:
        meaning = f"Option files with {option} do not work here."
        return Finding(name, "warning", f"does not work: {trial.error}", meaning, f"Leave {option} out.")
    ratio = plain_s / trial.seconds
    if ratio < 0.9:
        found = f"works, but {1 / ratio:.1f} times slower than float32 ({_ms(trial)})"
        return Finding(name, "warning", found, f"{option} would slow a run down.", f"Leave {option} out.")
    found = f"works, {ratio:.1f} times as fast as float32" if ratio > 1.1 else "works, as fast as float32"
    return Finding(name, "ok", f"{found} ({_ms(trial)})")


def judge_compiling(facts: Facts) -> Iterator[Finding]:
    """Say whether compiling a network works."""
    trial = facts.compiling
    assert trial is not None
    if trial.seconds is not None:
        yield Finding("compile", "ok", f"works ({trial.seconds:.0f} s for a small network)")
        return
    if trial.is_timed_out:
        found = f"timed out: {trial.error}; runs go without it"
        meaning = "Whether use_compile works here is not known; other programs may have held it up."
        yield Finding("compile", "warning", found, meaning, "Run this again when the machine is idle.")
        return
    found = f"torch.compile does not work here: {trial.error}; runs go without it"
    fix = "Leave use_compile out. On the CPU it needs a C++ compiler (g++), on CUDA the package triton."
    yield Finding("compile", "warning", found, "Training is not affected, only use_compile is.", fix)


def _ms(trial: Trial) -> str:
    return f"{(trial.seconds or 0) * 1e3:.1f} ms"
