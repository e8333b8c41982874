from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traiNNer.data.cache.recent import Recent


class Reader:
    """Creates a 100-byte image per key and counts the calls."""

    def __init__(self):
        self.reads = Counter()

    def __call__(self, key, size=100):
        def read():
            self.reads[key] += 1
            return np.full(size, ord(key), np.uint8)

        return read


def test_cached_image_is_not_read_again():
    cache, reader = Recent(300), Reader()
    for _ in range(3):
        for key in "abc":
            assert cache.get(key, reader(key))[0] == ord(key)
    assert reader.reads == Counter("abc")
    assert cache.used_bytes == 300


def test_least_recently_used_goes_first():
    cache, reader = Recent(300), Reader()
    for key in "abcad":  # a was used again, so d evicts b
        cache.get(key, reader(key))
    for key in "acdb":
        cache.get(key, reader(key))
    assert reader.reads == Counter({"a": 1, "c": 1, "d": 1, "b": 2})


@pytest.mark.parametrize("limit", [0, 99])
def test_items_above_the_limit_are_not_cached(limit):
    cache, reader = Recent(limit), Reader()
    for _ in range(2):
        cache.get("a", reader("a"))
    assert reader.reads["a"] == 2
    assert cache.used_bytes == 0


def test_failed_read_has_no_side_effects():
    cache, reader = Recent(300), Reader()

    def fail():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.get("a", fail)
    cache.get("a", reader("a"))
    assert (cache.used_bytes, reader.reads["a"]) == (100, 1)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 60)), max_size=40), st.integers(0, 150))
def test_limit_always_holds(uses, limit):
    cache, sizes = Recent(limit), {}
    for key, first_size in uses:
        size = sizes.setdefault(key, first_size)
        image = np.full(size, ord(key), np.uint8)
        assert cache.get(key, lambda image=image: image).tolist() == [ord(key)] * size
        assert 0 <= cache.used_bytes <= limit
        assert cache.used_bytes == sum(image.nbytes for image in cache._images.values())
