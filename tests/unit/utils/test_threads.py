"""Every entry point sets how threads wait before torch is loaded, unless the user has."""

import os
import subprocess
import sys

import pytest
from runkit import REPOSITORY, workplace, write_options

from traiNNer.utils.threads import OPENMP, VARIABLES

# A fake torch: records the environment when it is loaded, and ends the process.
TORCH = """
import os
names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
with open(os.environ["NOTED"], "a") as file:
    file.write(" ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ) + "\\n")
os._exit(0)
"""
PYTEST = ["-m", "pytest", "-p", "no:cacheprovider", "--max-worker-restart=0", REPOSITORY / "tests/unit/test_batch.py"]
SERVED = "import sys; sys.path.append(sys.argv[1]); import runkit; runkit.run('train.py', folder=runkit.Path())"
BENCHMARKS = REPOSITORY / "benchmarks"
ENTRIES = {
    "train.py": [REPOSITORY / "train.py", "-opt", "options.yml"],
    "test.py": [REPOSITORY / "test.py", "-opt", "test.yml"],
    "trainner": ["-c", "from traiNNer.cli import main; main(['doctor'])"],
    "python -m traiNNer": ["-m", "traiNNer", "doctor"],
    "import": ["-c", "import traiNNer, torch"],
    "measuring process": ["-m", "traiNNer.measuring.child"],
    "tests": [*PYTEST, "-n", "0"],
    "test workers": [*PYTEST, "-n", "1"],
    "forkserver of the tests": ["-c", SERVED, REPOSITORY / "tests"],
    "benchmarks.automations": ["-m", "benchmarks.automations", "--only", "faults"],
    "benchmarks/bookkeeping.py": [BENCHMARKS / "bookkeeping.py"],
    "benchmarks/busy_machine.py": [BENCHMARKS / "busy_machine.py", "--options", "options.yml"],
    "benchmarks/picture.py": [BENCHMARKS / "picture.py"],
    "benchmarks/start.py": [BENCHMARKS / "start.py"],
    "benchmarks/train_step.py": [BENCHMARKS / "train_step.py", "--quick"],
}
TESTED = {"type": "PairedImageDataset", "dataroot_gt": "val/hr", "dataroot_lq": "val/lr"}
TEST_FILE = {"datasets": {"train": None, "val": None, "test": TESTED}, "train": None, "logger": None}


def noted(arguments, folder, **environment) -> list[str]:
    """Return the wait settings in the environment whenever torch was loaded."""
    (folder / "fake/torch").mkdir(parents=True)
    (folder / "fake/torch/__init__.py").write_text(TORCH)
    write_options(workplace(folder))
    write_options(folder, TEST_FILE | {"val": {"val_freq": None}}, "test.yml")
    free = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    search = os.pathsep.join(map(str, (folder / "fake", REPOSITORY, os.environ.get("PYTHONPATH", ""))))
    subprocess.run(
        [sys.executable, *map(str, arguments)],
        check=False,
        cwd=folder,
        env={**free, "PYTHONPATH": search, "NOTED": str(folder / "noted.txt"), **environment},
        capture_output=True,
        timeout=300,
    )
    return (folder / "noted.txt").read_text().splitlines()


@pytest.mark.parametrize("entry", ENTRIES)
def test_threads_sleep_before_torch_is_loaded(entry, tmp_path):
    assert set(noted(ENTRIES[entry], tmp_path)) == {"OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=8000"}


@pytest.mark.parametrize(
    ("entry", "name", "value"),
    [
        ("train.py", "OMP_WAIT_POLICY", "active"),
        ("test.py", "GOMP_SPINCOUNT", "7"),
        ("trainner", "GOMP_SPINCOUNT", "7"),
        ("tests", "OMP_WAIT_POLICY", "active"),
    ],
)
def test_user_decisions_are_kept(entry, name, value, tmp_path):
    assert set(noted(ENTRIES[entry], tmp_path, **{name: value})) == {f"{name}={value}"}


def first_call(before: str, **environment) -> str:
    code = f"{before}\nfrom traiNNer.utils.threads import let_threads_sleep\nprint(let_threads_sleep())"
    free = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", code], env=free | environment, capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


def test_thread_report_names_the_source_and_late_imports():
    ours = "{'OMP_WAIT_POLICY': 'passive', 'GOMP_SPINCOUNT': '8000'}"
    passive = f"ThreadWaiting(settings={ours}, is_ours=True, is_late="
    assert first_call("") == passive + "False)"
    assert first_call("import sys, types; sys.modules['torch'] = types.ModuleType('torch')") == passive + "True)"
    users = "ThreadWaiting(settings={'KMP_BLOCKTIME': '1'}, is_ours=False, is_late=False)"
    assert first_call("import traiNNer", KMP_BLOCKTIME="1") == users


@pytest.mark.parametrize(
    ("path", "is_openmp"),
    [
        ("/usr/lib/libgomp.so.1", True),
        ("/x/torch/lib/libgomp-98b21ff3.so.1", True),
        ("/opt/intel/libiomp5.so", True),
        ("/usr/lib/llvm/libomp.so.5", True),
        ("/usr/lib/libompitrace.so", False),
    ],
)
def test_openmp_is_detected_by_its_file(path, is_openmp):
    assert bool(OPENMP.search(f"7f00-7f01 r-xp 00000000 08:01 12 {path}\n")) is is_openmp
