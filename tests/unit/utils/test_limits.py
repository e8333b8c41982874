"""Errors that limits of the process cause are recognized, whoever words them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from traiNNer.errors import OutOfMemory, TooFewHandles
from traiNNer.utils.limits import limit_error


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
def test_too_little_address_space(error):
    found = limit_error(error)
    assert type(found) is OutOfMemory
    assert " bytes of address space (ulimit -v)" in str(found)
    assert ". The limit of this process is " in str(found)


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
