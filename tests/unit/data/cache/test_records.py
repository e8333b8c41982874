import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traiNNer.data.cache.records import SIZE, Record, Records, Stamp, checksum, key_of

ONE = Record(key_of("a.png"), Stamp(123456789, 1000), 4096, 7, 9, 1, 2**64 - 1)
TWO = Record(key_of("b/ü.png"), Stamp(-5, 2**40), 2**45, 2**32 - 1, 1, 2, 0)


def read(*parts: bytes) -> tuple[Records, int]:
    records = Records()
    return records, sum(records.extend(part) for part in parts)


def test_what_is_written_is_read_back():
    records, damaged = read(ONE.packed() + TWO.packed())
    assert len(ONE.packed()) == SIZE == 72
    assert [records.at(records.place(record.key)) for record in (ONE, TWO)] == [ONE, TWO]
    assert (len(records), damaged) == (2, 0)
    assert records.place(key_of("c")) is None
    assert ONE.length == 7 * 9 * 3
    assert TWO.length == (2**32 - 1) * 6


def test_the_newest_record_of_an_image_counts():
    newer = Record(ONE.key, Stamp(5, 6), 8192, 7, 9, 1, 3)
    records, _ = read(ONE.packed(), TWO.packed(), newer.packed())
    assert records.at(records.place(ONE.key)) == newer
    assert records.live_bytes() == newer.length + TWO.length
    records.drop(ONE.key)
    assert records.place(ONE.key) is None
    assert records.live_bytes() == TWO.length


@given(st.integers(0, SIZE - 1), st.integers(1, 255))
def test_a_changed_byte_costs_only_its_record(place, change):
    broken = bytearray(ONE.packed())
    broken[place] ^= change
    records, damaged = read(bytes(broken) + TWO.packed())
    assert damaged == 1
    assert records.at(records.place(TWO.key)) == TWO
    assert len(records) == 1


@pytest.mark.parametrize("depth", [0, 3, 4])
def test_impossible_kind_of_value_is_refused(depth):
    assert read(Record(ONE.key, ONE.stamp, 0, 1, 1, depth, 0).packed())[1] == 1


def test_part_of_a_record_at_the_end_is_left_out():
    assert len(read(ONE.packed() + TWO.packed()[:-1])[0]) == 1
    assert len(read(b"")[0]) == 0
    assert read(bytes(SIZE))[1] == 1


@given(st.data())
def test_checksum_sees_every_change_of_a_byte(data):
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    before = checksum(image)
    place = data.draw(st.integers(0, image.size - 1))
    image.reshape(-1)[place] ^= data.draw(st.integers(1, 255))
    assert checksum(image) != before


def test_checksum_sees_pages_that_changed_places():
    image = np.random.default_rng(1).integers(0, 256, (64, 1024, 3), np.uint8)
    pages = image.reshape(-1, 4096)
    before, swapped = checksum(image), pages.copy()
    swapped[[3, 7]] = swapped[[7, 3]]
    assert checksum(swapped) != before
    assert checksum(pages.copy()) == before


def test_checksum_does_not_depend_on_the_type():
    deep = np.arange(3000, dtype=np.uint16).reshape(10, 100, 3)
    assert checksum(deep) == checksum(deep.view(np.uint8))
