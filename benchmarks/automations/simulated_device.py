"""A device with a caching allocator, without the device: what `torch.cuda` answers about memory, from plain numbers."""

from collections.abc import Callable
from typing import Any

import torch


class SimulatedDevice:
    """Memory in bytes: `others` is what other programs hold, `reserved` what the allocator has and caches.

    Args:
        total: of the device.
        others: taken by other programs.
        kept: what is in use whatever happens (weights and moments), which no emptied cache gives back.
    """

    def __init__(self, total: float, others: float = 0.0, kept: float = 0.0) -> None:
        self.total, self.others, self.kept = total, others, kept
        self.reserved = self.peak = kept
        self.retries = 0

    @property
    def free(self) -> float:
        """Bytes that nobody holds."""
        return self.total - self.others - self.reserved

    def use(self, need: float) -> None:
        """Hold `need` bytes for a moment; the cache keeps them. Raises `torch.OutOfMemoryError`."""
        if need > self.reserved and need + self.others > self.total:
            self.retries += 1
            self.empty_cache()
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {need / 2**30:.2f} GiB.")
        self.reserved = max(self.reserved, need)
        self.peak = max(self.peak, self.reserved)

    # What `torch.cuda` answers

    def mem_get_info(self, _: Any) -> tuple[int, int]:
        """Return the free bytes, and all."""
        return int(self.free), int(self.total)

    def memory_reserved(self, _: Any) -> int:
        """Return the bytes that the allocator holds."""
        return int(self.reserved)

    def max_memory_reserved(self, _: Any) -> int:
        """Return the most that it held since the last reset."""
        return int(self.peak)

    def memory_stats(self, _: Any) -> dict[str, int]:
        """Return the counters that are read."""
        return {"num_alloc_retries": self.retries}

    def reset_peak_memory_stats(self, _: Any) -> None:
        """Let the peak begin at what is held now."""
        self.peak = self.reserved

    def empty_cache(self) -> None:
        """Give back what is not in use."""
        self.reserved = self.kept


def halved_until_it_fits(use: Callable[[float], None], need: float) -> None:
    """Do what needs memory in halves, as a validation takes smaller tiles."""
    while True:
        try:
            use(need)
            return
        except torch.OutOfMemoryError:
            need /= 2
