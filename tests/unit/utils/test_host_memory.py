"""Freed memory stays in the process: the next allocation of that size causes no page faults."""

import mmap
import subprocess
import sys

import psutil
import pytest

from traiNNer.utils.host_memory import growth, peak_bytes

PROGRAM = """
import resource, torch
from traiNNer.utils.host_memory import keep_freed_memory
if not keep_freed_memory():
    print(-1)
else:
    def use():
        torch.ones(24 * 2**20 // 4)
    for _ in range(30):  # aligned blocks need a few rounds until free neighbors have merged
        use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        use()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_repeated_sizes_cost_no_page_faults():
    # In a separate process, because the setting cannot be reverted.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    faults = int(done.stdout)
    if faults < 0:
        pytest.skip("no glibc here")
    assert faults < 500  # 24 MiB are 6144 pages


def test_peak_is_at_least_what_is_used_now():
    assert peak_bytes() >= 0.9 * psutil.Process().memory_info().rss


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_growth_is_that_of_the_call_alone():
    size = 64 * 2**20

    def take():
        with mmap.mmap(-1, size) as block:  # not from memory that the process has kept
            for page in range(0, size, mmap.PAGESIZE):
                block[page] = 1

    assert 0.9 * size < growth(take) < 2 * size
    assert growth(lambda: None) < size / 2
