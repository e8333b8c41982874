import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from traiNNer.data.cache import room as module
from traiNNer.data.cache.room import Room, free_on_disk, is_on_memory, is_writable, room_for

Usage = namedtuple("Usage", "total used free")
GIB = 2**30


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets what is free on the disk and in memory, and returns the root of a file tree."""

    def use(disk, memory, kind="ext4", total=1000 * GIB):
        (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/self/mounts").write_text(f"d / ext4 rw 0 0\nx /cache {kind} rw 0 0\n")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total, 0, disk))
        monkeypatch.setattr(module, "free_memory", lambda: memory)
        return tmp_path

    return use


def room(root, taken=0, most=None, is_auto=True):
    return room_for(Path("/cache/x"), taken, most, is_auto, root)


def test_automatic_room_fits_into_memory_and_on_the_disk(machine):
    assert room(machine(100 * GIB, 10 * GIB)) == Room(8 * GIB, "memory")
    assert room(machine(5 * GIB, 10 * GIB)) == Room(3 * GIB, "disk")
    assert room(machine(5 * GIB, 10 * GIB), taken=1 * GIB) == Room(4 * GIB, "disk")
    assert room(machine(100 * GIB, 10 * GIB), taken=7 * GIB) == Room(8 * GIB, "memory")


def test_who_names_a_folder_or_a_size_is_bound_by_the_disk(machine):
    root = machine(100 * GIB, 10 * GIB)
    assert room(root, is_auto=False) == Room(98 * GIB, "disk")
    assert room(root, most=50 * GIB) == Room(50 * GIB, "cache_mb")
    assert room(root, most=150 * GIB) == Room(98 * GIB, "disk")
    assert room(root, most=1) == Room(1, "cache_mb")


def test_folder_in_memory_takes_memory(machine):
    root = machine(100 * GIB, 10 * GIB, "tmpfs")
    assert room(root, taken=GIB, is_auto=False) == Room(9 * GIB, "memory")
    assert room(root, taken=GIB, most=20 * GIB) == Room(9 * GIB, "memory")


def test_unknown_memory_limits_nothing(machine):
    assert room(machine(100 * GIB, None)) == Room(98 * GIB, "disk")


def test_reserve_of_a_small_disk_is_small(machine, tmp_path):
    machine(100, 0, total=1000)
    assert free_on_disk(tmp_path) == 50
    machine(10, 0, total=1000)
    assert free_on_disk(tmp_path) == -40


def test_unreadable_disk_has_no_room(monkeypatch, tmp_path):
    def fails(_):
        raise OSError

    monkeypatch.setattr(shutil, "disk_usage", fails)
    assert free_on_disk(tmp_path) == 0


def test_the_deepest_mount_counts(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mounts").write_text("a / overlay 0\nb /run tmpfs 0\nc /run/disk ext4 0\nbroken\n")
    asked = [is_on_memory(Path(name), tmp_path) for name in ("/run/x", "/run/disk/x", "/running", "/", "/run")]
    assert asked == [True, False, False, False, True]
    assert not is_on_memory(Path("/run"), tmp_path / "nothing")


def test_folder_that_can_be_made_is_writable(tmp_path, monkeypatch):
    assert is_writable(tmp_path / "a/b/c") == ""
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    assert is_writable(tmp_path / "a/b/c") == f"{tmp_path} cannot be written"
