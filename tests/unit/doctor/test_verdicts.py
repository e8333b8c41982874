"""Verdicts on simulated machines."""

from dataclasses import replace

import pytest

from traiNNer.data import loader
from traiNNer.doctor import verdicts
from traiNNer.doctor.machine import GIB, Cores, Decoder, Facts, Graphics, Memory, Space, Trial
from traiNNer.doctor.verdicts import judge, overall
from traiNNer.engine.runtime.device import Device
from traiNNer.utils.threads import ThreadWaiting

MIB = 2**20
CPU = Device("cpu", "CPU", "no CUDA or MPS device found", threads=8, built_for="CUDA 12.8")
CARD = Device("cuda", "NVIDIA X", "CUDA is available", 8, 0, 1, 24 * GIB, "CUDA 12.8", "sm_86")
FINE = Facts(
    system="Linux",
    cpu="Some CPU",
    versions={"Python": "3.12.1", "torch": "2.14.0+cpu", "numpy": "2.0.0"},
    requirements={"torch": "2.7", "numpy": "1.26"},
    waiting=ThreadWaiting({"OMP_WAIT_POLICY": "passive"}, is_ours=True, is_late=False),
    device=CARD,
    cores=Cores(8, 8),
    memory=Memory(32 * GIB, 30 * GIB),
    shared_memory=Space("/dev/shm", 16 * GIB, 16 * GIB),
    disk=Space("/home", 900 * GIB, 500 * GIB),
    graphics=Graphics(("NVIDIA X",), "570.1"),
    device_memory=Memory(24 * GIB, 23 * GIB),
    precisions={"float32": Trial(0.010), "bf16": Trial(0.005), "fp16": Trial(0.005)},
    torchvision=Trial(1.0),
    decoder=Decoder(2.0, {"PNG": 30.0, "JPEG": 60.0}),
    compiling=Trial(20.0),
)
ON_CPU = replace(FINE, device=CPU, graphics=Graphics(), device_memory=None)


def only(facts, check):
    """Return the finding of a check, after asserting that all others are fine."""
    findings = judge(facts)
    assert [f.check for f in findings if f.status != "ok" and f.check != check] == []
    (finding,) = [f for f in findings if f.check == check]
    return finding


def test_healthy_machine_gets_all_rows_and_no_advice():
    for facts in (FINE, ON_CPU):
        findings = judge(facts)
        assert {f.status for f in findings} == {"ok"}
        assert not any(f.fix for f in findings)
    checks = [f.check for f in judge(FINE)]
    assert checks == [
        *("device", "device memory", "float32", "bf16", "fp16", "compile", "memory", "cores", "threads"),
        *("waiting", "shared memory", "disk", "decoder", "versions", "torchvision"),
    ]
    assert overall(FINE, judge(FINE)) == "Overall: training works here, on NVIDIA X. No warnings."


OLD = "The NVIDIA driver on your system is too old (found version 11040)"
SETTINGS = {"CUDA_VISIBLE_DEVICES": "-1"}
SLOW = {"float32": Trial(0.01), "bf16": Trial(0.05), "fp16": Trial(error="RuntimeError: no")}
NO_HALF = {"float32": Trial(0.01), "bf16": Trial(error="RuntimeError: not supported"), "fp16": Trial(0.01)}
DEAD = {name: Trial(error="AcceleratorError: no kernel image") for name in ("float32", "bf16", "fp16")}
CARDS = Graphics(("NVIDIA X",), "570.1")
CPU_ONLY = replace(CPU, built_for=None)
CASES = {
    "CPU-only torch": (replace(ON_CPU, device=CPU_ONLY, graphics=CARDS), "device", "warning", "pytorch.org"),
    "hidden card": (replace(ON_CPU, graphics=CARDS, settings=SETTINGS), "device", "warning", "unset CUDA_VISIBLE"),
    "old driver": (replace(ON_CPU, graphics=Graphics(("X",), "470.1", OLD)), "device", "warning", "Update the NVIDIA"),
    "no driver": (replace(ON_CPU, graphics=Graphics(("X",))), "device", "warning", "--gpus all"),
    "full device": (replace(FINE, device_memory=Memory(24 * GIB, 9)), "device memory", "problem", "nvidia-smi"),
    "shared device": (replace(FINE, device_memory=Memory(24 * GIB, 9 * GIB)), "device memory", "warning", "nvidia-smi"),
    "small device": (replace(FINE, device_memory=Memory(2 * GIB, 2 * GIB)), "device memory", "warning", "lq_size"),
    "card not supported": (replace(FINE, precisions=DEAD), "float32", "problem", "num_gpu: 0"),
    "no bf16": (replace(FINE, precisions=NO_HALF), "bf16", "warning", "Leave use_amp with amp_bf16 out"),
    "slow bf16": (replace(ON_CPU, precisions=SLOW), "bf16", "warning", "Leave use_amp with amp_bf16 out"),
    "no compiler": (replace(FINE, compiling=Trial(error="InvalidCxxCompiler: none")), "compile", "warning", "g++"),
    "slow compiler": (
        replace(FINE, compiling=Trial(error="not done after 60 s", is_timed_out=True)),
        *("compile", "warning", "when the machine is idle"),
    ),
    "no memory": (replace(FINE, memory=Memory(GIB, 200 * MIB)), "memory", "problem", "Close other programs."),
    "little memory": (replace(FINE, memory=Memory(2 * GIB, GIB, True)), "memory", "warning", "the container's limit"),
    "one core": (replace(ON_CPU, cores=Cores(8, 8, 1.5), device=replace(CPU, threads=1)), "cores", "warning", "more"),
    "many threads": (replace(ON_CPU, cores=Cores(16, 16, 4)), "threads", "warning", "export OMP_NUM_THREADS=4"),
    "idle cores": (
        replace(ON_CPU, device=replace(CPU, threads=2), settings={"OMP_NUM_THREADS": "2"}),
        *("threads", "warning", "unset OMP_NUM_THREADS"),
    ),
    "OpenMP before us": (
        replace(ON_CPU, waiting=ThreadWaiting({"OMP_WAIT_POLICY": "passive"}, is_ours=True, is_late=True)),
        *("waiting", "warning", "export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=8000"),
    ),
    "no shm": (
        replace(FINE, shared_memory=Space("/dev/shm", 0, 0)),
        "shared memory",
        "warning",
        "num_worker_per_gpu: 0",
    ),
    "read-only shm": (
        replace(FINE, shared_memory=Space("/dev/shm", 16 * GIB, 16 * GIB, "read-only file system")),
        *("shared memory", "warning", "Set num_worker_per_gpu: 0, or start the container with more"),
    ),
    "64 MB of shm": (
        replace(FINE, shared_memory=Space("/dev/shm", 64 * MIB, 64 * MIB)),
        *("shared memory", "warning", "num_worker_per_gpu: 4, or start the container with more"),
    ),
    "full disk": (replace(FINE, disk=Space("/home", GIB, 5 * MIB)), "disk", "problem", "Free some space"),
    "nearly full disk": (replace(FINE, disk=Space("/home", 9 * GIB, 3 * GIB)), "disk", "warning", "Free some space"),
    "read-only disk": (
        replace(FINE, disk=Space("/home", 9 * GIB, 9 * GIB, "Read-only file system")),
        *("disk", "problem", "Make it writable"),
    ),
    "slow decoder": (replace(FINE, decoder=Decoder(2.0, {"PNG": 5.0, "JPEG": 60.0})), "decoder", "warning", "tiles"),
    "old torch": (replace(FINE, versions={"torch": "2.6.9", "numpy": "2.0"}), "versions", "warning", "pip install"),
    "no numpy": (replace(FINE, versions={"torch": "2.7", "numpy": None}), "versions", "warning", "pip install"),
    "torchvision of another torch": (
        replace(FINE, torchvision=Trial(error="RuntimeError: operator torchvision::nms does not exist")),
        *("torchvision", "warning", "pip install -U torchvision"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_problem_gets_its_verdict_and_fix(case):
    facts, check, status, cure = CASES[case]
    finding = only(facts, check)
    assert finding.status == status
    assert cure in finding.fix
    assert finding.meaning
    last = overall(facts, judge(facts))
    assert last.startswith("Overall: training is not possible" if status == "problem" else "Overall: training works")
    assert check in last


@pytest.mark.parametrize(
    ("case", "said"),
    {
        "old driver": OLD,
        "hidden card": "CUDA_VISIBLE_DEVICES='-1' hides the card",
        "CPU-only torch": "made for the CPU only",
        "card not supported": "(sm_86)",
        "64 MB of shm": "room for 4 data workers",
        "old torch": "torch 2.6.9 (needs 2.7) too old",
        "no numpy": "numpy not installed",
        "slow decoder": "feed 2.5 iterations of 16 images a second",
    }.items(),
)
def test_reason_is_reported(case, said):
    facts, check, *_ = CASES[case]
    assert said in only(facts, check).meaning


def test_compile_message_matches_the_docs():
    found = only(CASES["no compiler"][0], "compile").found
    assert found == "torch.compile does not work here: InvalidCxxCompiler: none; runs go without it"


def test_thread_waiting_source_is_reported():
    users = replace(ON_CPU, waiting=ThreadWaiting({"GOMP_SPINCOUNT": "9"}, is_ours=False, is_late=False))
    assert only(users, "waiting").found == "GOMP_SPINCOUNT=9, set in the environment: traiNNer leaves it as it is"
    assert only(ON_CPU, "waiting").found.endswith("(OMP_WAIT_POLICY=passive, set by traiNNer)")


def test_cpu_without_fp16_is_not_reported():
    assert next(f for f in judge(CASES["slow bf16"][0]) if f.check == "fp16").status == "ok"


def test_limits_of_the_cores_are_explained():
    assert only(CASES["one core"][0], "cores").found == "1 usable (of 8 in the machine, a container's limit of 1.5)"
    tied = replace(FINE, cores=Cores(64, 8))
    assert only(tied, "cores").found == "8 usable (of 64 in the machine, tied to 8)"


def test_failed_checks_are_rows_and_not_fatal():
    facts = replace(FINE, memory=None, failures={"memory": "KeyError: 'MemTotal'"})
    finding = only(facts, "memory")
    assert finding.status == "warning"
    assert finding.found == "could not be found out: KeyError: 'MemTotal'"


@pytest.mark.parametrize("field", verdicts.ESSENTIAL)
def test_without_torch_or_a_decoder_training_is_impossible(field):
    facts = replace(FINE, **{field: None}, failures={field: "ImportError: libGL.so.1"})
    problems = [f for f in judge(facts) if f.status == "problem"]
    assert "ImportError: libGL.so.1" in problems[0].found
    assert problems[0].fix


def test_unknown_measurements_give_no_error():
    assert judge(Facts()) == []
    names = [name for name in vars(Facts()) if name not in ("failures", "settings")]
    shown = judge(Facts(failures=dict.fromkeys(names, "ValueError: x")))
    assert {field for _, field, _ in verdicts.CHECKS} <= set(names)
    assert len(shown) == len(verdicts.CHECKS)


def test_shared_batch_is_read_like_the_loader():
    assert verdicts.BATCHES_AHEAD == loader.PREFETCH
