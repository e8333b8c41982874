"""Errors that limits of the process cause are recognized, whoever words them."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from traiNNer.errors import OutOfMemory, TooFewAddresses, TooFewHandles
from traiNNer.utils import limits
from traiNNer.utils.limits import limit_error, require_addresses


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE), "x.png"),
        RuntimeError("Too many open files. Communication with the workers is no longer possible."),
        RuntimeError("received 0 items of ancdata"),
    ],
)
def test_too_few_file_handles(error):
    found = limit_error(error)
    assert type(found) is TooFewHandles
    assert found.exit_code == 9
    assert str(found).startswith("Too few file handles: this process may have ")
    assert "ulimit -n 4096" in str(found)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("can't start new thread"),
    ],
)
def test_too_little_address_space(monkeypatch, error):
    monkeypatch.setattr(limits, "address_limit", lambda: 4 * 10**9)
    found = limit_error(error)
    assert type(found) is OutOfMemory
    assert ". The limit of this process is 4,000,000,000 bytes of address space (ulimit -v): " in str(found)


def test_limit_is_named_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(limits, "address_limit", lambda: None)
    assert "ulimit" not in str(limit_error(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))))
    assert limit_error(MemoryError()) is None
    monkeypatch.setattr(limits, "address_limit", lambda: 6 * 10**9)
    assert str(limit_error(MemoryError())).startswith("Out of memory. The limit of this process is 6,000,000,000 bytes")


@pytest.mark.parametrize(("with_cuda", "needed"), [(False, 2.5), (True, 5.0)])
def test_less_address_space_than_torch_needs(monkeypatch, with_cuda, needed):
    monkeypatch.setattr(limits, "_has_cuda_libraries", lambda: with_cuda)
    for allowed in (None, needed * 1e9):
        monkeypatch.setattr(limits, "address_limit", lambda allowed=allowed: allowed)
        require_addresses()
    monkeypatch.setattr(limits, "address_limit", lambda: needed * 1e9 - 1e8)
    with pytest.raises(TooFewAddresses, match=f"may have {needed - 0.1:.1f} GB, .* need {needed:.1f} GB"):
        require_addresses()


def test_cuda_libraries_are_known_without_importing_torch(monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(limits, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    assert not limits._has_cuda_libraries()
    (tmp_path / "lib" / "libtorch_cuda.so").touch()
    assert limits._has_cuda_libraries()
    monkeypatch.setattr(limits, "find_spec", lambda _: None)
    assert not limits._has_cuda_libraries()


TIGHT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
from traiNNer.cli.main import main
code = main(sys.argv[1:])
print(code, "torch" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space")
@pytest.mark.parametrize("command", [["doctor"], ["train", "-opt", "missing.yml"]])
def test_commands_say_it_before_torch_is_imported(command):
    done = subprocess.run([sys.executable, "-c", TIGHT, *command], check=True, capture_output=True, text=True)
    assert "Too little address space: this process may have 2.0 GB" in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "9 False"


LIMITED = """
import resource, sys
from traiNNer.errors import TooFewHandles
from traiNNer.utils.limits import require_handles
soft, hard, count = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    require_handles(count)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except TooFewHandles as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by /proc")
@pytest.mark.parametrize(
    ("soft", "hard", "count", "said"),
    [(64, 64, 20, "64"), (24, 200, 100, "1"), (64, 64, 90, "Too few file handles: this process may have 64 files")],
)
def test_limit_is_raised_where_the_system_allows_it(soft, hard, count, said):
    command = [sys.executable, "-c", LIMITED, str(soft), str(hard), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith(said)
    assert said != "1" or 100 < int(done.stdout) < 120


def test_cause_is_found_behind_the_error():
    error = ValueError("outer")
    error.__cause__ = OSError(errno.EMFILE, "x")
    error.__cause__.__context__ = error
    assert type(limit_error(error)) is TooFewHandles


@pytest.mark.parametrize("error", [OSError(errno.EIO, "x"), ValueError("too many values"), ImportError("no torch")])
def test_other_errors_are_not_limits(error):
    assert limit_error(error) is None
