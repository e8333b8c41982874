"""What the facts about a machine mean for training, and the cure: pure functions from facts to findings.

`problem` means that training is impossible as it stands, `warning` that it works but slower, or not for every option
file. A judge is asked only where what it needs is known.
"""

from collections.abc import Callable, Iterator, Sequence

from traiNNer.doctor.device_verdicts import (
    device_name,
    judge_compiling,
    judge_device,
    judge_device_memory,
    judge_precisions,
)
from traiNNer.doctor.finding import Finding, size
from traiNNer.doctor.machine import GIB, Decoder, Facts
from traiNNer.utils.threads import OURS

# A common batch: 16 crops of 256 GT pixels and their 128 LQ pixels, 8 bit. The loader reads four batches ahead in each
# process, and two processes is its default.
BATCH, BATCH_BYTES = 16, 16 * 3 * (256**2 + 128**2)
BATCHES_AHEAD, PROCESSES = 4, 2
# Below these there is no room for python and torch with a tiny network, or for the weights and states of one run.
LEAST_MEMORY, LITTLE_MEMORY = GIB // 4, 2 * GIB
LEAST_DISK, LITTLE_DISK = GIB // 10, 5 * GIB


def judge(facts: Facts) -> list[Finding]:
    """Return one finding for everything that was checked; what could not be found out is a finding too."""
    findings: list[Finding] = []
    for check, field, judge_it in CHECKS:
        if field in facts.failures:
            findings.append(_not_found_out(check, field, facts.failures[field]))
        elif getattr(facts, field) is not None:
            findings.extend(judge_it(facts))
    return findings


def overall(facts: Facts, findings: Sequence[Finding]) -> str:
    """Return the last line of the report."""
    problems = [finding.check for finding in findings if finding.status == "problem"]
    warnings = [finding.check for finding in findings if finding.status == "warning"]
    counted = _counted(len(warnings), "warning") + (f" ({', '.join(warnings)})" if warnings else "")
    if problems:
        return f"Overall: training is not possible here: {', '.join(problems)}. Also {counted}."
    return f"Overall: training works here, on {device_name(facts)}. {counted[0].upper()}{counted[1:]}."


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _not_found_out(check: str, field: str, reason: str) -> Finding:
    if field in ESSENTIAL:
        meaning, fix = ESSENTIAL[field]
        return Finding(check, "problem", f"does not work: {reason}", meaning, fix)
    meaning = "Nothing is known of this; training may well work."
    return Finding(check, "warning", f"could not be found out: {reason}", meaning, "Nothing, if runs start.")


# The host


def _judge_memory(facts: Facts) -> Iterator[Finding]:
    memory = facts.memory
    assert memory is not None
    free = memory.total if memory.available is None else memory.available
    told = "" if memory.available is None else f", {size(free)} free"
    found = f"{size(memory.total)}{told}{' (the limit of this container)' if memory.limited else ''}"
    raised = "Close other programs" + (", or raise the container's limit." if memory.limited else ".")
    if free < LEAST_MEMORY:
        yield Finding("memory", "problem", found, "There is no room for even a tiny network.", raised)
    elif free < LITTLE_MEMORY:
        meaning = "A run may be killed by the system."
        yield Finding("memory", "warning", found, meaning, f"Set num_worker_per_gpu: 1. {raised}")
    else:
        yield Finding("memory", "ok", found)


def _judge_cores(facts: Facts) -> Iterator[Finding]:
    cores = facts.cores
    assert cores is not None
    limits = [f"of {cores.machine} in the machine"] if cores.usable < cores.machine else []
    limits += [f"tied to {cores.allowed}"] if cores.allowed < cores.machine else []
    limits += [f"a container's limit of {cores.quota:g}"] if cores.quota is not None else []
    found = f"{cores.usable} usable" + (f" ({', '.join(limits)})" if limits else "")
    if cores.usable == 1:
        meaning = "Reading images and computing share one core."
        fix = "Set num_worker_per_gpu: 0, or allow this process more cores."
        yield Finding("cores", "warning", found, meaning, fix)
    else:
        yield Finding("cores", "ok", found)


def _judge_threads(facts: Facts) -> Iterator[Finding]:
    if facts.device is None or facts.cores is None:
        return
    threads, usable = facts.device.threads, facts.cores.usable
    found = f"torch computes with {threads} on {usable} usable core{'s' * (usable != 1)}"
    named = [f"{name}={facts.settings[name]}" for name in THREAD_SETTINGS if name in facts.settings]
    if threads > usable:
        meaning = "Threads wait for each other, which makes steps on the CPU much slower."
        yield Finding("threads", "warning", found, meaning, f"export OMP_NUM_THREADS={usable}")
    elif threads < usable and named and facts.device.kind == "cpu":
        meaning = f"{' and '.join(named)} leaves cores idle."
        yield Finding("threads", "warning", found, meaning, f"unset {' '.join(n.split('=')[0] for n in named)}")
    else:
        yield Finding("threads", "ok", found)


def _judge_waiting(facts: Facts) -> Iterator[Finding]:
    waiting = facts.waiting
    assert waiting is not None
    named = " ".join(f"{name}={value}" for name, value in waiting.settings.items())
    if not waiting.is_ours:
        yield Finding("waiting", "ok", f"{named}, set in the environment: traiNNer leaves it as it is")
    elif waiting.is_late and facts.device is not None and facts.device.kind == "cpu":
        yield Finding(
            "waiting",
            "warning",
            f"OpenMP was loaded before traiNNer set {named}",
            "Threads spin while they wait for each other: beside another busy program a step takes many times as long.",
            "export " + " ".join(f"{name}={value}" for name, value in OURS.items()),
        )
    else:
        yield Finding("waiting", "ok", f"threads sleep while they wait for each other ({named}, set by traiNNer)")


def _judge_shared_memory(facts: Facts) -> Iterator[Finding]:
    space, usable = facts.shared_memory, facts.cores.usable if facts.cores else PROCESSES
    assert space is not None
    room = space.free // BATCH_BYTES // BATCHES_AHEAD
    found = f"{space.path}: {size(space.total)}, {size(space.free)} free"
    if room >= max(PROCESSES, min(usable, 8)) and not space.refusal:
        yield Finding("shared memory", "ok", found)
        return
    more = "start the container with more, e.g. docker run --shm-size=2g."
    if space.refusal:
        meaning = "Data workers cannot be started: the main process reads the images, and training waits for them."
        refused = f"{space.path} cannot be used: {space.refusal}"
        yield Finding("shared memory", "warning", refused, meaning, f"Set num_worker_per_gpu: 0, or {more}")
        return
    yield Finding(
        "shared memory",
        "warning",
        found,
        "Data workers hand over their images there. With batches of 16 crops of 256 GT pixels there is room for "
        f"{room} data worker{'s' * (room != 1)}; what finds none goes through a pipe, which is slower.",
        f"Set num_worker_per_gpu: {room}, or {more}",
    )


def _judge_disk(facts: Facts) -> Iterator[Finding]:
    space = facts.disk
    assert space is not None
    found = f"{space.path}: {size(space.free)} free of {size(space.total)}"
    elsewhere = "or start from a folder on another disk."
    if space.refusal:
        meaning = "A run cannot write its folder."
        fix = f"Make it writable, {elsewhere}"
        yield Finding("disk", "problem", f"{space.path} cannot be written: {space.refusal}", meaning, fix)
    elif space.free < LEAST_DISK:
        yield Finding("disk", "problem", found, "A run could not save its weights.", f"Free some space, {elsewhere}")
    elif space.free < LITTLE_DISK:
        meaning = "Checkpoints and validation images of a long run may fill it."
        yield Finding("disk", "warning", found, meaning, f"Free some space, {elsewhere}")
    else:
        yield Finding("disk", "ok", found)


def _judge_decoder(facts: Facts) -> Iterator[Finding]:
    decoder, kind = facts.decoder, facts.device.kind if facts.device else "cpu"
    assert decoder is not None
    found = f"one core reads {_rates(decoder)}"
    usable = facts.cores.usable if facts.cores else 1
    slowest = min(decoder.images_per_s.values()) * usable / BATCH
    if kind == "cpu" or slowest > 5:
        yield Finding("decoder", "ok", found)
        return
    yield Finding(
        "decoder",
        "warning",
        found,
        f"With images of {decoder.megapixels:.0f} megapixels that are not kept decoded, all cores together feed "
        f"{slowest:.1f} iterations of {BATCH} images a second; the device may wait for them.",
        "Cut large images into tiles of about 512 pixels, or keep all of them decoded (docs/data.md).",
    )


def _rates(decoder: Decoder) -> str:
    parts = [
        f"{name} at {rate:.0f} images/s ({rate * decoder.megapixels:.0f} megapixels/s)"
        for name, rate in decoder.images_per_s.items()
    ]
    return " and ".join(parts)


# Packages


def _judge_versions(facts: Facts) -> Iterator[Finding]:
    assert facts.versions is not None
    parts = [f"{name} {version}" for name, version in facts.versions.items() if version]
    if facts.device and facts.device.built_for:
        parts.append(f"torch for {facts.device.built_for}")
    if facts.graphics and facts.graphics.driver:
        parts.append(f"NVIDIA driver {facts.graphics.driver}")
    found = ", ".join(parts + ([facts.system] if facts.system else []))
    missing = [name for name, version in facts.versions.items() if not version]
    wanted = facts.requirements or {}
    old = [
        f"{name} {version} (needs {wanted[name]})"
        for name, version in facts.versions.items()
        if version and name in wanted and _numbers(version) < _numbers(wanted[name])
    ]
    wrong = [f"{', '.join(names)} {text}" for names, text in ((missing, "not installed"), (old, "too old")) if names]
    if wrong:
        meaning = f"{'; '.join(wrong)}: what needs it does not work, or was never tested."
        yield Finding("versions", "warning", found, meaning, "In the checkout: pip install -U -e .")
    else:
        yield Finding("versions", "ok", found)


def _numbers(version: str) -> tuple[int, ...]:
    """Return `2.14.0+cpu` as (2, 14, 0): what follows a number that is not one is of no interest here."""
    parts = version.partition("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def _judge_torchvision(facts: Facts) -> Iterator[Finding]:
    trial = facts.torchvision
    assert trial is not None
    if trial.error is None:
        yield Finding("torchvision", "ok", "can be imported")
        return
    meaning = "Only PerceptualLoss and the metric lpips need it; it has to fit the installed torch."
    yield Finding("torchvision", "warning", f"cannot be imported: {trial.error}", meaning, "pip install -U torchvision")


THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# What training cannot do without: the meaning and the cure where finding out about it fails.
ESSENTIAL = {
    "device": ("torch cannot be used.", "In the checkout: pip install -U -e . (in a fresh environment if it persists)"),
    "precisions": ("The device cannot compute.", "Reinstall torch, or train with num_gpu: 0."),
    "decoder": ("Images cannot be read.", "pip install --force-reinstall opencv-python-headless"),
}
CHECKS: tuple[tuple[str, str, Callable[[Facts], Iterator[Finding]]], ...] = (
    ("device", "device", judge_device),
    ("graphics card", "graphics", lambda _: iter(())),
    ("device memory", "device_memory", judge_device_memory),
    ("precision", "precisions", judge_precisions),
    ("compile", "compiling", judge_compiling),
    ("memory", "memory", _judge_memory),
    ("cores", "cores", _judge_cores),
    ("threads", "device", _judge_threads),
    ("waiting", "waiting", _judge_waiting),
    ("shared memory", "shared_memory", _judge_shared_memory),
    ("disk", "disk", _judge_disk),
    ("decoder", "decoder", _judge_decoder),
    ("versions", "versions", _judge_versions),
    ("torchvision", "torchvision", _judge_torchvision),
)
