"""How full the devices are: plain numbers, which automations see too."""

from collections.abc import Sequence
from dataclasses import dataclass


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
