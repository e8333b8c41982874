import errno
import multiprocessing
import os
import signal
import time

import pytest

from traiNNer.utils.file_lock import locked

FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def test_lock_excludes_others_and_is_given_back(tmp_path):
    with locked(tmp_path / "lock"), pytest.raises(OSError, match="another process holds it") as caught:  # noqa: SIM117
        with locked(tmp_path / "lock", 0.01):
            pass
    assert caught.value.errno == errno.ETIMEDOUT
    with locked(tmp_path / "lock", 0.01):
        pass


def hold(path, ready):
    with locked(path):
        ready.set()
        time.sleep(60)


@pytest.mark.skipif(FORK is None, reason="no fork on this system")
def test_lock_of_a_killed_process_is_free(tmp_path):
    ready = FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "lock", ready))
    process.start()
    ready.wait(60)
    with pytest.raises(OSError, match="another process"), locked(tmp_path / "lock", 0.01):
        pass
    os.kill(process.pid, signal.SIGKILL)
    with locked(tmp_path / "lock", 60):
        process.join()


def test_link_is_not_followed(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="lock"), locked(tmp_path / "lock"):
        pass
    assert not (tmp_path / "victim").exists()
