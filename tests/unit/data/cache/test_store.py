import errno
import multiprocessing
import os
import signal

import numpy as np
import pytest

from traiNNer.data.cache import store as module
from traiNNer.data.cache.records import SIZE, Stamp, key_of
from traiNNer.data.cache.store import INDEX, PIXELS, Store

STAMP = Stamp(17, 100)
FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None


def image(seed: int, height: int = 30, width: int = 40, bits: int = 8) -> np.ndarray:
    kind = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, (height, width, 3), kind)


def find(store: Store, seed: int, stamp: Stamp = STAMP, height: int = 30, width: int = 40):
    return store.find(key_of(str(seed)), lambda: stamp, height, width)


def filled(folder, count: int = 3) -> Store:
    store = Store(folder / "s")
    for seed in range(count):
        assert store.add(key_of(str(seed)), STAMP, image(seed))
    return store


@pytest.mark.parametrize("bits", [8, 16])
def test_image_comes_back_in_this_and_in_another_store(tmp_path, bits):
    store = Store(tmp_path / "s")
    assert find(store, 1) is None
    assert store.add(key_of("1"), STAMP, image(1, bits=bits)[::-1])
    for one in (store, Store(tmp_path / "s")):
        found = find(one, 1)
        np.testing.assert_array_equal(found, image(1, bits=bits)[::-1])
        assert not found.flags.writeable
        assert len(one) == 1
    assert find(store, 2) is None


def test_store_that_is_only_asked_makes_nothing(tmp_path):
    find(Store(tmp_path / "s"), 1)
    assert list(tmp_path.iterdir()) == []


def test_what_one_process_adds_another_finds(tmp_path):
    first, second = Store(tmp_path / "s"), Store(tmp_path / "s")
    for seed in range(4):
        (first, second)[seed % 2].add(key_of(str(seed)), STAMP, image(seed))
    for store in (first, second):
        for seed in range(4):
            np.testing.assert_array_equal(find(store, seed), image(seed))


def test_image_that_is_there_is_not_written_again(tmp_path):
    first, second = filled(tmp_path), Store(tmp_path / "s")
    before = first.size()
    assert second.add(key_of("0"), STAMP, image(0))
    assert first.add(key_of("0"), STAMP, image(0))
    assert first.size() == before


@pytest.mark.parametrize("change", [{"stamp": Stamp(18, 100)}, {"stamp": Stamp(17, 99)}, {"height": 31}, {"width": 4}])
def test_another_state_of_the_file_is_not_found_and_takes_its_place(tmp_path, change):
    store = filled(tmp_path)
    asked = Store(tmp_path / "s")
    assert find(asked, 1, **change) is None
    new = image(9, change.get("height", 30), change.get("width", 40))
    asked.add(key_of("1"), change.get("stamp", STAMP), new)
    np.testing.assert_array_equal(find(asked, 1, **change), new)
    np.testing.assert_array_equal(find(Store(tmp_path / "s"), 1, **change), new)
    assert find(Store(tmp_path / "s"), 1) is None
    np.testing.assert_array_equal(find(store, 2), image(2))
    assert store.live_bytes() < store.size()


def test_stamp_is_asked_for_once(tmp_path):
    filled(tmp_path)
    store, asked = Store(tmp_path / "s"), []
    for _ in range(3):
        store.find(key_of("1"), lambda: asked.append(1) or STAMP, 30, 40)
    assert len(asked) == 1


def test_damaged_pixels_are_found_and_replaced(tmp_path):
    filled(tmp_path)
    pixels = bytearray((tmp_path / "s" / PIXELS).read_bytes())
    pixels[4096 + 1234] ^= 1  # in the second image
    (tmp_path / "s" / PIXELS).write_bytes(pixels)
    store = Store(tmp_path / "s")
    assert find(store, 1) is None
    assert store.damaged == 1
    np.testing.assert_array_equal(find(store, 0), image(0))
    store.add(key_of("1"), STAMP, image(1))
    np.testing.assert_array_equal(find(store, 1), image(1))
    np.testing.assert_array_equal(find(Store(tmp_path / "s"), 1), image(1))


@pytest.mark.parametrize("length", [0, 4096, 3 * 4096])
def test_pixels_that_were_cut_off_are_not_read(tmp_path, length):
    filled(tmp_path)
    os.truncate(tmp_path / "s" / PIXELS, length)
    store = Store(tmp_path / "s")
    for seed in range(3):
        assert find(store, seed) is None or (seed + 1) * 4096 <= length
        store.add(key_of(str(seed)), STAMP, image(seed))
    for seed in range(3):
        np.testing.assert_array_equal(find(Store(tmp_path / "s"), seed), image(seed))


def test_missing_pixels_are_as_if_nothing_was_kept(tmp_path):
    filled(tmp_path)
    (tmp_path / "s" / PIXELS).unlink()
    store = Store(tmp_path / "s")
    assert find(store, 0) is None
    assert store.add(key_of("0"), STAMP, image(0))
    np.testing.assert_array_equal(find(store, 0), image(0))


@pytest.mark.parametrize("rest", [b"x" * 5, b"\xff" * SIZE, b"y" * (3 * SIZE + 7)])
def test_foreign_bytes_in_the_index_cost_nothing_else(tmp_path, rest):
    filled(tmp_path)
    index = tmp_path / "s" / INDEX
    index.write_bytes(index.read_bytes() + rest)
    store = Store(tmp_path / "s")
    np.testing.assert_array_equal(find(store, 2), image(2))
    store.add(key_of("7"), STAMP, image(7))
    np.testing.assert_array_equal(find(Store(tmp_path / "s"), 7), image(7))


def test_full_disk_is_said_and_leaves_the_rest_readable(tmp_path, monkeypatch):
    store, written = filled(tmp_path), os.pwrite

    def full(handle, data, offset):
        if len(data) > SIZE:
            written(handle, data[:50], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(handle, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    assert not store.add(key_of("5"), STAMP, image(5))
    assert store.refusal == "no space left on device"
    monkeypatch.undo()
    assert find(store, 5) is None
    assert find(Store(tmp_path / "s"), 5) is None
    np.testing.assert_array_equal(find(Store(tmp_path / "s"), 2), image(2))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_store_is_read(tmp_path):
    filled(tmp_path)
    for path in (tmp_path / "s").iterdir():
        path.chmod(0o400)
    (tmp_path / "s").chmod(0o500)
    store = Store(tmp_path / "s")
    np.testing.assert_array_equal(find(store, 2), image(2))
    assert not store.add(key_of("5"), STAMP, image(5))
    assert store.refusal


def test_store_behind_a_link_is_not_written(tmp_path):
    (tmp_path / "s").mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "s" / PIXELS).symlink_to(victim)
    store = Store(tmp_path / "s")
    assert not store.add(key_of("5"), STAMP, image(5))
    assert victim.read_bytes() == b"precious"


def test_lock_that_is_held_by_another_only_skips_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    store = filled(tmp_path)
    with module.locked(tmp_path / "s" / module.LOCK):
        assert not store.add(key_of("5"), STAMP, image(5))
    assert store.refusal == ""
    assert store.add(key_of("5"), STAMP, image(5))


def test_removed_store_is_read_on_and_no_longer_written(tmp_path):
    store = filled(tmp_path)
    (tmp_path / "s").rename(tmp_path / "t")
    np.testing.assert_array_equal(find(store, 1), image(1))
    assert not store.add(key_of("5"), STAMP, image(5)) or find(store, 5) is not None


def test_pages_are_handed_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_RESIDENT", 10_000)
    store = filled(tmp_path)
    views = [find(store, seed) for seed in (0, 1, 2, 0, 1, 2)]
    for view, seed in zip(views, (0, 1, 2, 0, 1, 2), strict=True):
        np.testing.assert_array_equal(view, image(seed))


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def add_many(folder, seeds, stop_at=None):
    store = Store(folder)
    for seed in seeds:
        if seed == stop_at:
            module.checksum = die  # between the pixels and the record
        store.add(key_of(str(seed)), STAMP, image(seed))


@pytest.mark.skipif(FORK is None, reason="no fork on this system")
def test_processes_that_build_one_store_and_die_leave_it_whole(tmp_path):
    folder = tmp_path / "s"
    jobs = [(range(12), None), (range(12), 6), (range(11, -1, -1), None)]
    processes = [FORK.Process(target=add_many, args=(folder, *job)) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode == 0 for process in processes].count(True) >= 2
    store = Store(folder)
    for seed in range(12):
        np.testing.assert_array_equal(find(store, seed), image(seed))
    assert len(store) == 12
    assert store.size() < 14 * 4096
    assert store.damaged == 0
