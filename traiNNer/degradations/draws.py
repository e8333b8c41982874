"""Random numbers of a batch that depend on nothing but the seed of each image, whatever the batch and the device.

A number is a hash (the finalizer of SplitMix64) of the image's seed, the step and a name. For fields the place of the
pixel is mixed in, in 32 bits, of which processors take several at once. Parameters are drawn on the CPU, so that a
device is never waited for.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
Notes = dict[str, list[tuple[str, np.ndarray]]]
"""What was drawn by step: the name of a parameter with one value for each image."""


def _mixed(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(FIRST)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(SECOND)
    return x ^ (x >> np.uint64(31))


class Draws:
    """The random numbers of one step.

    Args:
        seeds: one whole number for each image, from 0 to 2^63 - 1.
        step: names the step; two steps with different names draw independently.
        notes: where drawn parameters are written down; None: nowhere.
    """

    def __init__(self, seeds: Sequence[int] | np.ndarray, step: str = "", notes: Notes | None = None) -> None:
        self.seeds = np.asarray(seeds, dtype=np.uint64)
        self.step = step
        self.notes = notes

    def __len__(self) -> int:
        return len(self.seeds)

    def part(self, chosen: np.ndarray) -> "Draws":
        """Return the draws of some of the images; what they draw is not written down."""
        return Draws(self.seeds[chosen], self.step, self.notes if len(chosen) == len(self) else None)

    def _keys(self, name: str) -> np.ndarray:
        label = hashlib.blake2b(f"{self.step}/{name}".encode(), digest_size=8).digest()
        with np.errstate(over="ignore"):
            return _mixed(_mixed(self.seeds + np.uint64(GOLDEN)) ^ np.frombuffer(label, dtype=np.uint64)[0])

    def _unit(self, name: str) -> np.ndarray:
        return (_mixed(self._keys(name)) >> np.uint64(11)) * 2.0**-53

    def _noted(self, name: str, values: np.ndarray) -> np.ndarray:
        if self.notes is not None:
            self.notes.setdefault(self.step, []).append((name, values))
        return values

    def uniform(self, name: str, low: float, high: float) -> np.ndarray:
        """Return one number in [low, high) for each image, float64."""
        return self._noted(name, low + (high - low) * self._unit(name))

    def integer(self, name: str, low: int, high: int) -> np.ndarray:
        """Return one whole number for each image, `low` and `high` among them, int64."""
        return self._noted(name, low + np.floor(self._unit(name) * (high - low + 1)).astype(np.int64))

    def chance(self, name: str, probability: float) -> np.ndarray:
        """Return for each image whether something of this probability happens."""
        return self._noted(name, self._unit(name) < probability)

    def choice(self, name: str, names: Sequence[str], weights: Sequence[float] = ()) -> np.ndarray:
        """Return one of `names` for each image, as its place; equally likely, or by weights that need no sum of 1."""
        shares = np.cumsum(np.asarray(weights or [1.0] * len(names), dtype=np.float64))
        places = np.minimum(np.searchsorted(shares / shares[-1], self._unit(name), side="right"), len(names) - 1)
        self._noted(name, np.asarray(names, dtype=object)[places])
        return places

    def ranks(self, name: str, count: int) -> np.ndarray:
        """Return a random order of `count` things for each image: B, count."""
        return np.argsort(np.stack([self._unit(f"{name}/{place}") for place in range(count)], axis=1), axis=1)

    def normal(self, name: str, like: Tensor, channels: int | None = None) -> Tensor:
        """Return a field of standard normal numbers: B, channels (those of `like`), H, W float32 on its device.

        A pixel's numbers depend on its row and column, not on the size of the image (Box and Muller 1958).
        """
        channels = like.shape[1] if channels is None else channels
        pairs = (channels + 1) // 2
        words = self._words(name, like, 2 * pairs)
        radius = torch.sqrt(-2 * torch.log(_unit(words[:, :pairs])))
        angle = words[:, pairs:].float() * (2 * math.pi * 2.0**-32)
        return torch.cat((radius * torch.cos(angle), radius * torch.sin(angle)), dim=1)[:, :channels]

    def field(self, name: str, like: Tensor) -> Tensor:
        """Return uniform numbers in (0, 1) in the shape of `like`, float32 on its device."""
        return _unit(self._words(name, like, like.shape[1])).clamp(max=1 - 2.0**-24)

    def _words(self, name: str, like: Tensor, count: int) -> Tensor:
        """Return 32 random bits for each of `count` channels of every pixel, int32.

        A pixel's place is mixed with one half of a key, and the result with the other: a key for each image and
        channel.
        """
        keys = np.stack([self._keys(f"{name}/{channel}") for channel in range(count)], axis=1)
        halves = torch.from_numpy(np.ascontiguousarray(keys).view(np.int32).reshape(len(self), count, 2))
        first, second = halves.to(like.device)[..., None, None].unbind(dim=2)
        rows, columns = (torch.arange(side, device=like.device, dtype=torch.int32) for side in like.shape[-2:])
        places = (rows[:, None] << 16) | columns
        return _mixed_32(_mixed_32(places ^ first) ^ second)


def _unit(words: Tensor) -> Tensor:
    """Return 32 bits as numbers in (0, 1], float32: none is 0, whose logarithm is infinite."""
    return (words.float() + (2.0**31 + 0.5)) * 2.0**-32


def _shifted_32(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (32 - bits)) - 1)


def _mixed_32(x: Tensor) -> Tensor:
    """Return 32 bits mixed so that each depends on all (the function `lowbias32` of Wellons 2018)."""
    x = (x ^ _shifted_32(x, 16)) * 0x7FEB352D
    x = (x ^ _shifted_32(x, 15)) * (0x846CA68B - 2**32)
    return x ^ _shifted_32(x, 16)
