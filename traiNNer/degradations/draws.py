"""Random numbers of a batch that depend on nothing but the seed of each image, whatever the batch and the device.

A number is a hash (the finalizer of SplitMix64) of the image's seed, the place of the step, a name, and for fields the
place of the pixel. Parameters are drawn on the CPU, so that a device is never waited for.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
WORD = 2**64
Notes = dict[str, list[tuple[str, np.ndarray]]]
"""What was drawn by step: the name of a parameter with one value for each image."""


def _mixed(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(FIRST)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(SECOND)
    return x ^ (x >> np.uint64(31))


def _signed(number: int) -> int:
    return number - WORD if number >= WORD // 2 else number


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Return a logical shift to the right, which torch does not have for signed numbers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mixed_on_device(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _signed(FIRST)
    x = (x ^ _shifted(x, 27)) * _signed(SECOND)
    return x ^ _shifted(x, 31)


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
        first, second = self._words(name, like, (channels + 1) // 2)
        radius = torch.sqrt(-2 * torch.log((first.float() + 0.5) * 2.0**-32))
        angle = second.float() * (2 * math.pi * 2.0**-32)
        pairs = torch.stack((radius * torch.cos(angle), radius * torch.sin(angle)), dim=2)
        return pairs.flatten(1, 2)[:, :channels]

    def field(self, name: str, like: Tensor) -> Tensor:
        """Return uniform numbers in (0, 1) in the shape of `like`, float32 on its device."""
        first, _ = self._words(name, like, like.shape[1])
        return ((first.double() + 0.5) * 2.0**-32).float().clamp(max=1 - 2.0**-24)

    def _words(self, name: str, like: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return two numbers below 2^32 for each of `count` channels of every pixel, int64."""
        keys = torch.from_numpy(self._keys(name).view(np.int64)).to(like.device)
        height, width = like.shape[-2:]
        rows, columns = (torch.arange(side, device=like.device) for side in (height, width))
        channels = torch.arange(count, device=like.device)
        places = (channels[:, None, None] << 48) + (rows[:, None] << 24) + columns
        words = _mixed_on_device(keys[:, None, None, None] + places * _signed(GOLDEN))
        return words & 0xFFFFFFFF, _shifted(words, 32)
