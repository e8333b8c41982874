"""Tiles that fit into the memory of the host, found by trying: where it runs out, the process ends without a word.

A small image is upscaled and the growth of the process measured; it is taken as proportional to the pixels. Devices
with a memory of their own raise an error that can be answered, so nothing is measured for them.
"""

import math
from functools import cached_property

from traiNNer.upscaling.network import ReadyNetwork
from traiNNer.utils.host import free_memory
from traiNNer.utils.host_memory import growth
from traiNNer.utils.tiles import LEAST_CONTEXT
from traiNNer.utils.upscaling import Tiling

TRIAL_SIDE = 128
SHARE = 0.5
"""Of the free memory that a tile may take: others need some too, and the result has to be put together."""
LEAST_BYTES = 2048
"""For each LQ pixel, below which no growth is believed: memory that was freed before may have been used again."""
SMALLEST_TILE = 32


class HostMemory:
    """How large the tiles of one network may be in the memory of the host."""

    def __init__(self, network: ReadyNetwork) -> None:
        self._network = network

    def fitted(self, tiling: Tiling, height: int, width: int) -> Tiling:
        """Return a tiling with which an image of LQ pixels fits into half of the free memory: the given one if it does.

        Where that is unknown, or the image is small, nothing is changed.
        """
        around = 2 * (tiling.overlap + LEAST_CONTEXT)
        most = tiling.size + around if tiling.size else max(height, width)
        pixels = min(height, most) * min(width, most)
        if self._network.runtime.device.type != "cpu" or pixels <= TRIAL_SIDE**2:
            return tiling
        free, each = free_memory(), self._bytes_per_pixel
        if free is None or each is None or pixels * each <= SHARE * free:
            return tiling
        return Tiling(max(SMALLEST_TILE, math.isqrt(int(SHARE * free / each)) - around), tiling.overlap)

    @cached_property
    def _bytes_per_pixel(self) -> float | None:
        side = self._network.traits.fitting(TRIAL_SIDE)
        images = self._network.blank(side, side)
        try:
            grown = growth(lambda: self._network.call(images))
        except (RuntimeError, MemoryError) as error:
            if not self._network.runtime.ran_out_of_memory(error):
                raise
            return None  # a limit that raises an error, which is answered where the image is upscaled
        return max(LEAST_BYTES, grown / side**2)
