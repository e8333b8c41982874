"""The order of the samples and the randomness of each: pure functions of (seed, epoch, index)."""

import hashlib
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=4)
def permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    """Return the order of `length` samples in one epoch."""
    return _generator(seed, epoch, 0).permutation(length)


def at(seed: int, length: int, position: int) -> tuple[int, int]:
    """Return (epoch, index) of the sample at a position of the endless stream."""
    epoch, place = divmod(position, length)
    return epoch, int(permutation(seed, epoch, length)[place])


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the generator of one sample's crop and turn, whoever draws it and whenever."""
    return _generator(seed, epoch, index + 1)


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """Return a number below 2^63 for what is drawn later for one sample; no draw of `sample_rng` tells it."""
    state = np.random.SeedSequence([seed, epoch, index + 1, 1]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def seed_of_name(name: str) -> int:
    """Return a number below 2^63 for an image of a validation set, which is the same in every run."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def _generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch, stream])))
