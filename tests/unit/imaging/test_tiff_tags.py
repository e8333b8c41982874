import io
import struct
import time
import tracemalloc

import numpy as np
import pytest
from imagekit import numbers, tiff_bytes

from traiNNer.imaging.tiff_tags import one_plane, read_tiff_tags


def test_tags_keep_their_values_and_places():
    data = tiff_bytes(numbers(21, 37, 3), ">", orientation=6)
    tags = read_tiff_tags(io.BytesIO(data))
    assert (tags.one(256, 0), tags.one(257, 0), tags.one(274, 1), tags.values[258]) == (37, 21, 6, (8, 8, 8))
    assert struct.unpack_from(">H", data, tags.places[274]) == (6,)
    assert tags.one(999, 5) == 5
    assert not tags.has_more


@pytest.mark.parametrize("tag", [1000, 258, 273])
def test_directory_that_claims_billions_of_values_is_read_within_bounds(tag):
    count, values = 400, 1_000_000
    places = [(tag if tag == 273 else tag + number, 3, values, 8 + 2 + 12 * count + 4) for number in range(count)]
    entries = b"".join(struct.pack("<HHII", *place) for place in places)
    data = b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4) + bytes(2 * values)
    tracemalloc.start()
    started = time.process_time()
    read_tiff_tags(io.BytesIO(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert time.process_time() - started < 2


def test_directory_outside_the_file():
    with pytest.raises(EOFError):
        read_tiff_tags(io.BytesIO(b"II*\0\xff\xff\xff\x7f"))


@pytest.mark.parametrize("order", ["<", ">"])
def test_one_plane_keeps_the_data_of_one_channel(order):
    tifffile = pytest.importorskip("tifffile")
    image = numbers(6, 9, 3, bits=16)
    data = tiff_bytes(image, order, planar=True)
    tags = read_tiff_tags(io.BytesIO(data))
    for channel in range(3):
        plane = tifffile.imread(io.BytesIO(one_plane(data, tags, channel)))
        np.testing.assert_array_equal(plane, image[:, :, channel])
