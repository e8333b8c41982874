import sys
from pathlib import Path

import pytest

from traiNNer.utils import host
from traiNNer.utils.host import Cores, cores, free_memory

OTHERS = "".join(f"{name}: 0 kB\n" for name in ("Buffers", "Cached", "Shmem", "Active", "Inactive", "Slab"))


@pytest.mark.skipif(sys.platform != "linux", reason="plants files of Linux")
def test_container_memory_limit_is_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(host.psutil, "PROCFS_PATH", str(tmp_path / "proc"))
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 500 kB\n" + OTHERS)
    assert host.memory(tmp_path) == host.Memory(8000 * 1024, 500 * 1024)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(f"{2000 * 1024}\n")
    (tmp_path / "sys/fs/cgroup/memory.current").write_text(f"{1900 * 1024}\n")
    assert host.memory(tmp_path) == host.Memory(2000 * 1024, 100 * 1024, limited=True)


@pytest.mark.parametrize(("cores", "usable"), [(Cores(8, 4), 4), (Cores(8, 8, 2.9), 2), (Cores(8, 8, 0.3), 1)])
def test_usable_cores_are_those_that_can_be_kept_busy(cores, usable):
    assert cores.usable == usable


def test_quota_of_a_container_is_read(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("150000 100000\n")
    assert cores(tmp_path).quota == 1.5
    assert cores(Path("/")).usable >= 1


def test_unknown_memory_is_none(monkeypatch):
    def unknown():
        raise AttributeError

    monkeypatch.setattr(host, "memory", unknown)
    assert free_memory() is None
