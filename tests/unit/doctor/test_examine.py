"""The command on the current machine."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from traiNNer.cli import main
from traiNNer.doctor import machine, probes
from traiNNer.doctor.machine import Trial, has_native_bf16, machine_facts, machine_id
from traiNNer.doctor.probes import graphics, photo, try_compiling
from traiNNer.engine.runtime import device
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.utils import nvidia

SAYS = (sys.executable, "-c")


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Return a function that runs the command quickly: its exit code, stdout and stderr."""
    monkeypatch.setattr(probes, "try_torchvision", lambda: Trial(1.0))
    monkeypatch.setattr(probes, "PHOTO_SIZE", (24, 32))
    monkeypatch.setattr(probes.measure_decoder, "__defaults__", (0.0,))
    monkeypatch.setattr(probes._seconds_of_a_step, "__defaults__", (0.0,))
    step = probes._step  # on a large image it takes long where bf16 and fp16 are emulated
    monkeypatch.setattr(
        probes, "_step", lambda runtime, network, call, _, channels: step(runtime, network, call, 8, channels)
    )

    def command(*arguments):
        code = main(["doctor", "--root", str(tmp_path / "experiments"), *arguments])
        return code, *capsys.readouterr()

    return command


def rows(output):
    """Return the findings of the JSON report by check."""
    return {finding["check"]: finding for finding in json.loads(output)["findings"]}


def test_report_ends_with_one_line_and_progress_goes_to_stderr(run, tmp_path):
    code, output, progress = run("--quick")
    assert code == 0
    last = output.splitlines()[-1]
    assert last.startswith("Overall: training works here, on ")
    assert "float32" in output
    assert "compile" not in output.replace("compiled", "")
    assert "computing in float32, bf16 and fp16" in progress
    assert not list(tmp_path.iterdir())


def test_json_report_has_every_key(run, tmp_path):
    code, output, _ = run("--quick", "--json")
    report = json.loads(output)
    assert code == 0
    assert set(report) == {"format", "can_train", "overall", "seconds", "findings", "facts"}
    assert (report["format"], report["can_train"]) == (1, True)
    for finding in report["findings"]:
        assert set(finding) == {"check", "status", "found", "meaning", "fix"}
        assert finding["status"] in ("ok", "warning", "problem")
        assert finding["status"] == "ok" or (finding["meaning"] and finding["fix"])
    assert set(report["facts"]) == set(vars(machine.Facts()))
    assert report["facts"]["compiling"] is None
    assert report["facts"]["failures"] == {}
    assert report["facts"]["disk"]["path"] == str(tmp_path)
    assert report["facts"]["precisions"]["float32"]["seconds"] > 0
    assert set(report["facts"]["decoder"]["images_per_s"]) == {"PNG", "JPEG"}


@pytest.mark.parametrize(
    ("reply", "status", "found"),
    [
        ('{"error": null}', "ok", "works"),
        (
            '{"error": "InvalidCxxCompiler: none found"}',
            "warning",
            "torch.compile does not work here: InvalidCxxCompiler: none found; runs go without it",
        ),
    ],
)
def test_compilation_outcome_is_one_line(run, monkeypatch, reply, status, found):
    monkeypatch.setattr(probes, "COMPILE_COMMAND", (*SAYS, f"print('noise'); print('{reply}')"))
    code, output, progress = run("--json")
    assert code == 0
    assert rows(output)["compile"]["status"] == status
    assert rows(output)["compile"]["found"].startswith(found)
    assert "compiling a small network" in progress


def test_dead_and_hanging_children_are_distinguished():
    died = try_compiling((*SAYS, "import os, sys; print('bad cache', file=sys.stderr, flush=True); os._exit(3)"))
    assert died.error == "the process ended with code 3: bad cache"
    killed = try_compiling((*SAYS, "import os; os.kill(os.getpid(), 9)"))
    assert killed.error == "the process was ended by signal 9"
    silent = try_compiling((*SAYS, "pass"))
    assert silent.error == "the process ended with code 0"
    hung = try_compiling((*SAYS, "import time; time.sleep(60)"), limit_s=0.2)
    assert hung == Trial(error="not done after 0.2 s", is_timed_out=True)


def is_running(pid):
    """Whether a process is alive and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_grandchildren_are_ended_with_the_child(tmp_path):
    number = tmp_path / "number"
    code = f"""
import subprocess
from pathlib import Path
quiet = subprocess.DEVNULL
child = subprocess.Popen(["sleep", "60"], stdin=quiet, stdout=quiet, stderr=quiet)
Path({str(number)!r}).write_text(str(child.pid))
child.wait()
"""
    # On a busy machine the child may not have started yet.
    assert any(try_compiling((*SAYS, code), limit_s=limit).is_timed_out and number.exists() for limit in (3, 20, 120))
    pid, limit = int(number.read_text()), time.monotonic() + 120
    while is_running(pid) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not is_running(pid)


def test_child_reports_its_findings(monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", lambda network: network)
    probes.compiled_step()
    assert json.loads(capsys.readouterr().out) == {"error": None}
    monkeypatch.setattr(torch, "compile", lambda network: lambda images: network(images) + 1)
    probes.compiled_step()
    assert "gives other values" in json.loads(capsys.readouterr().out)["error"]

    def broken(network):
        raise RuntimeError("backend='inductor' raised:\nInvalidCxxCompiler: No working C++ compiler\n\nmore")

    monkeypatch.setattr(torch, "compile", broken)
    probes.compiled_step()
    assert json.loads(capsys.readouterr().out)["error"] == "RuntimeError: InvalidCxxCompiler: No working C++ compiler"


PROBES = {
    "memory": (machine, "memory", "memory", 0),
    "cores": (machine, "cores", "cores", 0),
    "shared memory": (machine, "shared_memory", "shared memory", 0),
    "disk": (machine, "disk", "disk", 0),
    "versions": (machine, "versions", "versions", 0),
    "graphics": (probes, "graphics", "graphics card", 0),
    "device": (device, "find_device", "device", 9),
    "precisions": (probes, "try_precisions", "precision", 9),
    "decoder": (probes, "measure_decoder", "decoder", 9),
}


@pytest.mark.parametrize("case", PROBES)
def test_failing_probe_is_a_row_not_an_exit(run, monkeypatch, case):
    module, name, check, expected = PROBES[case]

    def broken(*_):
        raise ImportError("libGL.so.1: cannot open shared object file\nsecond line")

    monkeypatch.setattr(module, name, broken)
    code, output, _ = run("--quick", "--json")
    assert code == expected
    finding = rows(output)[check]
    assert "ImportError: libGL.so.1: cannot open shared object file" in finding["found"]
    assert "second line" not in output
    assert finding["status"] == ("problem" if expected else "warning")


def test_failing_precision_is_a_row(run, monkeypatch):
    place = Runtime.place

    def refuses(self, network):
        if self.half is torch.bfloat16:
            raise RuntimeError("bf16 is not supported")
        return place(self, network)

    monkeypatch.setattr(Runtime, "place", refuses)
    code, output, _ = run("--quick", "--json")
    assert code == 0
    assert rows(output)["bf16"]["found"] == "does not work: RuntimeError: bf16 is not supported"


def test_command_works_where_torch_cannot_be_imported(tmp_path):
    """The report must work on broken installations."""
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from traiNNer.cli import main; sys.exit(main())"
    command = [*SAYS, code, "doctor", "--quick", "--json", "--root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    assert "libcudart.so.12" in rows(done.stdout)["device"]["found"]
    assert json.loads(done.stdout)["overall"].startswith("Overall: training is not possible here: device")


def test_trying_draws_no_random_numbers(run):
    before = torch.get_rng_state()
    run("--quick")
    assert torch.equal(torch.get_rng_state(), before)


def test_key_of_measurements_names_the_machine(monkeypatch):
    key = machine_id()
    assert key == machine_id()
    facts = machine_facts()
    assert facts.versions
    assert f"torch {facts.versions['torch']}" in key
    assert f"{facts.cores.usable} cores" in key
    monkeypatch.setattr(machine, "cores", lambda: machine.Cores(64, 64, 1.0))
    assert machine_id() != key


def test_unwritable_folder_is_detected(tmp_path, monkeypatch):
    def refuses(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuses)
    assert machine.disk(tmp_path / "a" / "b").refusal == "Read-only file system"


def test_gpus_unused_by_torch_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia.shutil, "which", lambda name: None)
    for place, vendor, kind in (
        ("01", "0x10de", "0x030000"),
        ("02", "0x10de", "0x040300"),
        ("03", "0x1002", "0x030000"),
    ):
        folder = tmp_path / "sys/bus/pci/devices" / place
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(vendor + "\n")
        (folder / "class").write_text(kind + "\n")
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02\n")
    found = graphics(None, tmp_path)
    assert (found.cards, found.driver) == (("NVIDIA card at 01",), "470.57.02")
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '550.1, NVIDIA A, B'\necho '550.1, NVIDIA C'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(nvidia.shutil, "which", lambda name: str(tool))
    assert graphics(None).cards == ("NVIDIA A, B", "NVIDIA C")
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed, no driver'\nexit 9\n")
    assert graphics(None, tmp_path).driver == "470.57.02"


def test_synthetic_photo_decodes_as_slowly_as_a_photo():
    import cv2

    picture = photo(306, 408)
    assert picture.shape == (306, 408, 3)
    bits = 8 * len(cv2.imencode(".png", picture)[1]) / (306 * 408)
    assert 8 < bits < 16
    assert (photo(24, 32) == photo(24, 32)).all()


@pytest.mark.parametrize(
    ("cpuinfo", "is_native"),
    [
        ("model name\t: Xeon\nflags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("model name\t: Xeon\nflags\t\t: fpu avx2 avx512f bf16_not\n", False),
        ("Features\t: fp asimd i8mm bf16\n", True),
        ("", False),
        (None, False),
    ],
)
def test_processors_that_compute_in_bf16_are_known(tmp_path, cpuinfo, is_native):
    if cpuinfo is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    assert has_native_bf16(tmp_path) is is_native
