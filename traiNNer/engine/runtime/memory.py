"""How full the devices are: plain numbers, which automations see too, and the allocator that they come from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # plain numbers need no torch
    import torch

SHORT = 0.1
"""Share of a device whose memory is short when less is free: cuDNN's workspaces are of that order."""


@dataclass(frozen=True)
class Memory:
    """Device memory in bytes over a window: the total, the peak in use by everybody, our own peak, alloc retries."""

    total: int
    used: int
    reserved: int
    retries: int = 0


def fullest(ranks: Sequence[Memory]) -> Memory:
    """Return what one device would show that is as full as the fullest of several."""
    total = min(memory.total for memory in ranks)
    used, reserved, retries = (max(getattr(m, name) for m in ranks) for name in ("used", "reserved", "retries"))
    return Memory(total, used, reserved, retries)


class DeviceMemory:
    """The memory of one device, as the caching allocator counts it.

    Args:
        device: whose memory it is.
        allocator: `torch.cuda`, or what answers like it.
    """

    def __init__(self, device: "torch.device", allocator: Any) -> None:
        self.device = device
        self._allocator = allocator
        self._before: list[Memory] = []  # peaks of this window from before what ran apart
        self._retries_apart = 0

    def read(self) -> Memory:
        """Return the peak since the last call, without what ran apart, and start anew."""
        peak = fullest([*self._before, self._peak()])
        self._before = []
        self._allocator.reset_peak_memory_stats(self.device)
        return peak

    def is_short(self) -> bool:
        """Whether little of the device is free at this moment."""
        free, total = self._allocator.mem_get_info(self.device)
        return free < SHORT * total

    def release(self) -> None:
        """Give memory that is not in use back to the device."""
        self._allocator.empty_cache()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Run a block whose memory counts nothing in the next reading: neither its peak nor the cache that it leaves.

        The block finds the cache empty. What ran before it in the same window still counts.
        """
        before = self._peak()
        self._before.append(before)
        self.release()
        try:
            yield
        finally:
            self._retries_apart += self._peak().retries - before.retries
            self.release()
            self._allocator.reset_peak_memory_stats(self.device)

    def _peak(self) -> Memory:
        free, total = self._allocator.mem_get_info(self.device)
        peak = self._allocator.max_memory_reserved(self.device)
        now = self._allocator.memory_reserved(self.device)
        retries = self._allocator.memory_stats(self.device).get("num_alloc_retries", 0)
        return Memory(total, total - free + peak - now, peak, retries - self._retries_apart)
