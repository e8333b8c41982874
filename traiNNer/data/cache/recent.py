"""Images that were made and not read, kept in the memory of one process, the least recently used dropped first."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np


class Recent:
    """Holds at most `limit_bytes` of arrays; one larger than that is never kept."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._images: OrderedDict[str, np.ndarray] = OrderedDict()

    def get(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the image `key`, making it if it is not here. The array must not be written to."""
        if key in self._images:
            self._images.move_to_end(key)
            return self._images[key]
        image = make()
        if image.nbytes <= self.limit_bytes:
            self._images[key] = image
            self.used_bytes += image.nbytes
            while self.used_bytes > self.limit_bytes:
                self.used_bytes -= self._images.popitem(last=False)[1].nbytes
        return image
