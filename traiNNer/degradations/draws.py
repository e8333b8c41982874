"""Random numbers of a batch that depend on nothing but the seed of each image, whatever the batch and the device.

A number is a hash (the finalizer of SplitMix64) of the image's seed, the step and a name. For fields the place of the
pixel is mixed in, in 32 bits, of which processors take several at once. Parameters are drawn on the CPU, so that a
device is never waited for: of a batch by numpy, of a single image, where numpy's calls would take longer than the
numbers, by Python.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
Notes = dict[str, list[tuple[str, np.ndarray]]]
"""What was drawn by step: the name of a parameter with one value for each image."""
LEVELS = 1 << 16
"""Different numbers in a field: half of 32 random bits each."""
TILE = 256
WHOLE = (1 << 64) - 1


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
        frames: numbers of images that are frames of a clip: those of one clip have one seed, and so the same
            parameters, but fields of their own. None: of single images.
    """

    def __init__(
        self,
        seeds: Sequence[int] | np.ndarray,
        step: str = "",
        notes: Notes | None = None,
        frames: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        self.seeds = np.asarray(seeds, dtype=np.uint64)
        self.step = step
        self.notes = notes
        self.frames = None if frames is None else np.asarray(frames, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self.seeds)

    def part(self, chosen: np.ndarray) -> "Draws":
        """Return the draws of some of the images; what they draw is not written down."""
        notes = self.notes if len(chosen) == len(self) else None
        return Draws(self.seeds[chosen], self.step, notes, None if self.frames is None else self.frames[chosen])

    def clips(self) -> list[np.ndarray]:
        """Return the places of the images of every clip, in order; those of single images are clips of one."""
        if self.frames is None:
            return [np.array([place]) for place in range(len(self))]
        return [np.flatnonzero(self.seeds == seed) for seed in dict.fromkeys(self.seeds.tolist())]

    @property
    def _is_single(self) -> bool:
        return len(self.seeds) == 1

    def _keys(self, name: str) -> np.ndarray:
        """Return 64 random bits for each image."""
        label = _label(self.step, name)
        if self._is_single:
            return np.array([self._key(label)], dtype=np.uint64)
        with np.errstate(over="ignore"):
            return _mixed(_mixed(self.seeds + np.uint64(GOLDEN)) ^ np.uint64(label))

    def _field_keys(self, name: str) -> np.ndarray:
        """Return the same for fields, which differ from frame to frame of a clip."""
        if self.frames is None:
            return self._keys(name)
        with np.errstate(over="ignore"):
            seeds = _mixed(self.seeds ^ _mixed(self.frames + np.uint64(1)))
        return Draws(seeds, self.step)._keys(name)

    def _key(self, label: int) -> int:
        return mixed_in_python(mixed_in_python(int(self.seeds[0]) + GOLDEN & WHOLE) ^ label)

    def _unit(self, name: str) -> np.ndarray:
        if self._is_single:
            return np.array([(mixed_in_python(self._key(_label(self.step, name))) >> 11) * 2.0**-53])
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
        bounds = _bounds(tuple(weights) or (1.0,) * len(names))
        places = np.minimum(np.searchsorted(bounds, self._unit(name), side="right"), len(names) - 1)
        if self.notes is not None:
            self._noted(name, np.asarray(names, dtype=object)[places])
        return places

    def ranks(self, name: str, count: int) -> np.ndarray:
        """Return a random order of `count` things for each image: B, count."""
        return np.argsort(np.stack([self._unit(f"{name}/{place}") for place in range(count)], axis=1), axis=1)

    def normal(self, name: str, like: Tensor, channels: int | None = None) -> Tensor:
        """Return a field of standard normal numbers: B, channels (those of `like`), H, W float32 on its device.

        A pixel's numbers depend on its row and column, not on the size of the image. They are 65536 quantiles of the
        normal distribution, which end at 4.3.
        """
        return normal_of(self.levels(name, like, channels))

    def field(self, name: str, like: Tensor) -> Tensor:
        """Return uniform numbers in (0, 1) in the shape of `like`, float32 on its device: 65536 different ones."""
        return uniform_of(self.levels(name, like))

    def levels(self, name: str, like: Tensor, channels: int | None = None) -> Tensor:
        """Return a random whole number below 65536 for each of `channels` of every pixel, int32."""
        channels = like.shape[1] if channels is None else channels
        words = self._words(name, like, (channels + 1) // 2)
        halves = torch.empty((len(self), channels, *like.shape[-2:]), dtype=torch.int32, device=like.device)
        torch.bitwise_and(words, LEVELS - 1, out=halves[:, ::2])
        _shifted_32(words[:, : channels // 2], 16, halves[:, 1::2])
        return halves

    def _words(self, name: str, like: Tensor, count: int) -> Tensor:
        """Return 32 random bits for each of `count` channels of every pixel, int32.

        A pixel's place is mixed, and again with one half of a key for each image and channel; the other half is added.
        """
        keys = np.stack([self._field_keys(f"{name}/{channel}") for channel in range(count)], axis=1)
        halves = torch.from_numpy(np.ascontiguousarray(keys).view(np.int32).reshape(len(self), count, 2))
        first, second = halves.to(like.device)[..., None, None].unbind(dim=2)
        height, width = like.shape[-2:]
        tiles = -(-height // TILE) * TILE, -(-width // TILE) * TILE
        places = _places(*tiles, like.device)[:height, :width]
        return _mixed_32(places ^ first).add_(second)


def normal_of(levels: Tensor) -> Tensor:
    """Return the standard normal number of each level below 65536, float32."""
    table = _quantiles(levels.device)
    return table.index_select(0, levels.flatten()).view(levels.shape)


def uniform_of(levels: Tensor) -> Tensor:
    """Return the number in (0, 1) of each level below 65536, float32."""
    return levels.float().add_(0.5).div_(LEVELS)


@lru_cache(maxsize=4)
def _quantiles(device: torch.device) -> Tensor:
    """Return the middles of 65536 equally likely spans of the normal distribution, with a variance of exactly 1."""
    shares = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    table = torch.special.ndtri(shares)
    return (table / table.std(correction=0)).float().to(device)


@lru_cache(maxsize=4)
def _places(height: int, width: int, device: torch.device) -> Tensor:
    """Return 32 bits for every place, mixed: H, W int32."""
    rows, columns = (torch.arange(side, device=device, dtype=torch.int32) for side in (height, width))
    return _mixed_32((rows[:, None] << 16) | columns)


@lru_cache(maxsize=4096)
def _label(step: str, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{step}/{name}".encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=256)
def _bounds(weights: tuple[float, ...]) -> np.ndarray:
    shares = np.cumsum(np.asarray(weights, dtype=np.float64))
    return shares / shares[-1]


def mixed_in_python(x: int) -> int:
    """Return the same as `_mixed`, of one number below 2^64."""
    x = (x ^ (x >> 30)) * FIRST & WHOLE
    x = (x ^ (x >> 27)) * SECOND & WHOLE
    return x ^ (x >> 31)


def _shifted_32(x: Tensor, bits: int, out: Tensor | None = None) -> Tensor:
    return torch.bitwise_right_shift(x, bits, out=out).bitwise_and_((1 << (32 - bits)) - 1)


def _mixed_32(x: Tensor) -> Tensor:
    """Return 32 bits mixed so that each depends on all (the function `lowbias32` of Wellons 2018)."""
    shifted = _shifted_32(x, 16)
    x = (x ^ shifted).mul_(0x7FEB352D)
    x = x.bitwise_xor_(_shifted_32(x, 15, shifted)).mul_(0x846CA68B - 2**32)
    return x.bitwise_xor_(_shifted_32(x, 16, shifted))
