"""Whether images are kept, and that nobody can tell from the pixels."""

import os
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from imagekit import numbers, write_png

from traiNNer.data.cache import images as module
from traiNNer.data.cache.images import DecodedImages
from traiNNer.data.cache.places import store_folder
from traiNNer.data.cache.room import Room
from traiNNer.imaging.image_file import ImageError, read_header, read_image

SIDES = (24, 30)
BYTES = 24 * 30 * 3


@pytest.fixture
def root(tmp_path):
    """Return a folder of four images, one of them in a folder below."""
    for place, name in enumerate(("0.png", "1.png", "2.png", "d/3.png")):
        write_png(tmp_path / "x" / name, numbers(*SIDES, 3, seed=place))
    return tmp_path / "x"


class Reader:
    """Decodes images, counts them, and takes as long as it is told."""

    def __init__(self, monkeypatch, seconds=0.02):
        self.read = []
        self.now = 0.0
        self.seconds = seconds
        monkeypatch.setattr(module.time, "perf_counter", lambda: self.now)

    def __call__(self, path, rows):
        self.read.append((path.name, rows))
        self.now += self.seconds
        return read_image(path)


@pytest.fixture
def reader(monkeypatch):
    return Reader(monkeypatch)


def opened(root: Path, reader, cache="auto", cache_mb=None) -> DecodedImages:
    files = sorted(root.rglob("*.png"))
    headers = {path: read_header(path) for path in files}
    images = DecodedImages(cache, cache_mb, reader, headers.__getitem__)
    images.use([root], files)
    images.plan()
    reader.read.clear()
    return images


def read_all(images, root):
    for path in sorted(root.rglob("*.png")):
        np.testing.assert_array_equal(images.get(path), read_image(path))


@pytest.mark.parametrize("cache", ["auto", "folder"])
def test_each_image_is_decoded_once_by_all_runs(root, reader, tmp_path, cache):
    cache = str(tmp_path / "kept") if cache == "folder" else cache
    first = opened(root, reader, cache)
    read_all(first, root)
    read_all(first, root)
    assert sorted(reader.read) == [("0.png", None), ("1.png", None), ("2.png", None), ("3.png", None)]
    second = opened(root, reader, cache)
    read_all(second, root)
    assert (reader.read, second.decoded, first.decoded) == ([], 0, 4)
    assert "0.0 GB, 4 of 4 are there)." in second.line


@pytest.mark.parametrize(("cache", "cache_mb"), [("off", None), ("auto", 0), ("off", 100)])
def test_what_is_not_to_be_kept_is_not(root, reader, own_cache, cache, cache_mb):
    images = opened(root, reader, cache, cache_mb)
    assert images.line == ""
    np.testing.assert_array_equal(images.get(root / "0.png", (3, 5)), read_image(root / "0.png"))
    read_all(images, root)
    assert reader.read[0] == ("0.png", (3, 5))
    assert len(reader.read) == 5
    assert list(own_cache.iterdir()) == []


def test_quickly_decoded_images_are_kept_only_where_that_was_asked_for(root, monkeypatch, tmp_path, own_cache):
    quick = Reader(monkeypatch, 0.0004)
    assert opened(root, quick).line == "Decoded images are not kept: decoding one takes 0.4 ms."
    assert list(own_cache.iterdir()) == []
    assert "are kept in" in opened(root, quick, str(tmp_path / "kept")).line


def test_line_says_where_and_why(root, reader, own_cache):
    assert opened(root, reader).line == (
        f"Decoded images are kept in {own_cache}/trainner/images (0.0 GB; decoding one takes 20 ms)."
    )


def test_changed_image_is_decoded_again_and_no_other(root, reader):
    read_all(opened(root, reader), root)
    write_png(root / "1.png", numbers(*SIDES, 3, seed=77))
    images = opened(root, reader)
    read_all(images, root)
    assert [name for name, _ in reader.read] == ["1.png"]
    reader.read.clear()
    os.utime(root / "2.png", ns=(5, 5))
    read_all(opened(root, reader), root)
    assert [name for name, _ in reader.read] == ["2.png"]


def test_image_of_another_size_is_decoded_again(root, reader):
    read_all(opened(root, reader), root)
    status = (root / "1.png").stat()
    write_png(root / "1.png", numbers(SIDES[1], SIDES[0], 3, seed=1))
    os.utime(root / "1.png", ns=(status.st_mtime_ns, status.st_mtime_ns))
    np.testing.assert_array_equal(opened(root, reader).get(root / "1.png"), read_image(root / "1.png"))


def test_image_that_changes_while_it_is_decoded_is_not_kept(root, reader, monkeypatch):
    times = count()

    def changing(path, rows):
        image = reader(path, rows)
        os.utime(path, ns=(1, next(times)))
        return image

    changing.read = reader.read
    opened(root, changing).get(root / "0.png")
    images = opened(root, reader)
    images.get(root / "0.png")
    assert [name for name, _ in reader.read] == ["0.png"]


def test_room_that_is_full_keeps_what_it_has(root, reader, monkeypatch):
    monkeypatch.setattr(module, "room_for", lambda *_: Room(BYTES + 4096 + 10, "disk"))
    images = opened(root, reader)
    assert images.line.endswith("There is room for 73% (disk); others are decoded for every crop.")
    read_all(images, root)
    assert images.state == "full"
    read_all(images, root)
    assert [name for name, _ in reader.read] == ["0.png", "1.png", "2.png", "3.png", "2.png", "3.png"]
    assert images.get(root / "2.png", (1, 2)) is not None
    assert reader.read[-1] == ("2.png", (1, 2))


def test_no_room_at_all_is_said(root, reader, monkeypatch):
    monkeypatch.setattr(module, "room_for", lambda *_: Room(BYTES - 1, "memory"))
    assert opened(root, reader, "kept").line == "Decoded images are not kept: there is no room in kept (memory)."


def test_disk_that_fills_up_meanwhile_is_left_alone(root, reader, monkeypatch):
    images = opened(root, reader)
    images.get(root / "0.png")
    monkeypatch.setattr(module, "free_on_disk", lambda _: BYTES - 1)
    read_all(images, root)
    assert images.state == "full"


def test_folder_that_cannot_be_written(root, reader, monkeypatch):
    monkeypatch.setattr(module, "is_writable", lambda _: "/kept cannot be written")
    line = opened(root, reader).line
    assert line == "Decoded images are not kept: /kept cannot be written. Name another folder: cache: <folder>."
    monkeypatch.undo()
    reader.now = 0.0
    monkeypatch.setattr(module.time, "perf_counter", lambda: reader.now)
    half = opened(root, reader)
    half.get(root / "0.png")
    monkeypatch.setattr(module, "is_writable", lambda _: "/kept cannot be written")
    images = opened(root, reader)
    read_all(images, root)
    assert images.line.endswith("No more are added: /kept cannot be written.")
    assert [name for name, _ in reader.read] == ["1.png", "2.png", "3.png"]


def test_user_without_a_home_is_told_what_to_do(root, reader, monkeypatch):
    monkeypatch.setattr(module, "default_base", lambda: None)
    assert "this user has no home folder. Name a folder: cache: <folder>." in opened(root, reader).line


def test_store_of_which_most_is_out_of_date_is_begun_anew(root, reader, monkeypatch, own_cache):
    monkeypatch.setattr(module, "LEAST_WASTED", 1)
    for seed in range(4):
        images = opened(root, reader)
        read_all(images, root)
        for place, path in enumerate(sorted(root.rglob("*.png"))):
            write_png(path, numbers(*SIDES, 3, seed=10 * seed + place))
    (store,) = images._stores.values()
    assert store.size() < 3 * 4 * 4096
    read_all(opened(root, reader), root)


def test_damaged_image_is_not_kept(root, reader):
    images = opened(root, reader)
    data = bytearray((root / "1.png").read_bytes())
    data[data.index(b"IDAT") + 10] ^= 255
    (root / "1.png").write_bytes(data)
    for _ in range(2):
        with pytest.raises(ImageError):
            images.get(root / "1.png")


def test_deleted_image_stays_for_a_run_that_has_read_it(root, reader):
    images = opened(root, reader)
    before = images.get(root / "0.png").copy()
    images.get(root / "0.png")
    (root / "0.png").unlink()
    np.testing.assert_array_equal(images.get(root / "0.png"), before)


def test_nested_roots_keep_an_image_once(root, reader, own_cache):
    images = DecodedImages("auto", None, reader, read_header)
    images.use([root, root / "d"], sorted(root.rglob("*.png")))
    images.plan()
    read_all(images, root)
    counts = {path: len(store) for path, store in images._stores.items()}
    assert counts == {root: 3, root / "d": 1}


def test_present_folder_as_root(root, reader, monkeypatch):
    monkeypatch.chdir(root)
    images = DecodedImages("auto", None, reader, read_header)
    images.use([Path()], [Path("0.png")])
    images.get(Path("0.png"))
    reader.read.clear()
    np.testing.assert_array_equal(images.get(Path("0.png")), read_image(root / "0.png"))
    assert reader.read == []


def test_name_of_another_folder_that_begins_alike_is_not_mistaken(root, reader):
    other = root.with_name("xy")
    shutil.copytree(root, other)
    images = opened(root, reader)
    np.testing.assert_array_equal(images.get(other / "0.png"), read_image(root / "0.png"))
    assert store_folder(Path("b"), root) != store_folder(Path("b"), other)
    assert not any(len(store) for store in images._stores.values())
