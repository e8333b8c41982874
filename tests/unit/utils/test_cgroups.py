"""Limits of containers, read from file trees as the kernel lays them out."""

import pytest

from traiNNer.utils.cgroups import cpu_quota, memory_limit

MIB = 2**20


def plant(root, **files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None


def test_version_2_inside_a_container(tmp_path):
    group = "sys/fs/cgroup/"
    plant(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/\n",
            group + "cpu.max": "150000 100000\n",
            group + "memory.max": f"{1000 * MIB}\n",
            group + "memory.current": f"{700 * MIB}\n",
            group + "memory.stat": f"anon {300 * MIB}\nfile {400 * MIB}\ninactive_file {250 * MIB}\n",
        },
    )
    assert cpu_quota(tmp_path) == 1.5
    assert memory_limit(tmp_path) == (1000 * MIB, 550 * MIB)


def test_parent_cgroup_limit_counts(tmp_path):
    top = "sys/fs/cgroup/user.slice/"
    plant(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/user.slice/job.scope\n",
            top + "cpu.max": "200000 100000\n",
            top + "job.scope/cpu.max": "max 100000\n",
            top + "memory.max": f"{64 * MIB}\n",
            top + "memory.current": f"{60 * MIB}\n",
            top + "job.scope/memory.max": f"{128 * MIB}\n",
            top + "job.scope/memory.current": f"{1 * MIB}\n",
        },
    )
    assert cpu_quota(tmp_path) == 2
    assert memory_limit(tmp_path) == (64 * MIB, 4 * MIB)


@pytest.mark.parametrize("visible", ["docker/abc/", ""], ids=["host tree", "own tree"])
def test_version_1(tmp_path, visible):
    """Inside a container the cgroup path belongs to the host and is not mounted."""
    cpu, memory = f"sys/fs/cgroup/cpu/{visible}", f"sys/fs/cgroup/memory/{visible}"
    plant(
        tmp_path,
        **{
            "proc/self/cgroup": "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n",
            cpu + "cpu.cfs_quota_us": "50000\n",
            cpu + "cpu.cfs_period_us": "100000\n",
            memory + "memory.limit_in_bytes": f"{512 * MIB}\n",
            memory + "memory.usage_in_bytes": f"{412 * MIB}\n",
            memory + "memory.stat": f"inactive_file 1\ntotal_inactive_file {12 * MIB}\n",
        },
    )
    assert cpu_quota(tmp_path) == 0.5
    assert memory_limit(tmp_path) == (512 * MIB, 112 * MIB)


def test_version_1_without_a_limit(tmp_path):
    plant(
        tmp_path,
        **{
            "proc/self/cgroup": "4:memory:/\n1:cpu:/\nstrange line\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert cpu_quota(tmp_path) is None
    assert memory_limit(tmp_path) is None
