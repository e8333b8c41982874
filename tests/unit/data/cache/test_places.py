import os
from pathlib import Path

import numpy as np
import pytest

from traiNNer.data.cache import places
from traiNNer.data.cache.places import decoded_by, default_base, describe, kept, remove_folder, store_folder
from traiNNer.data.cache.records import Stamp, key_of
from traiNNer.data.cache.store import Store


def fill(base: Path, root: Path) -> Path:
    folder = store_folder(base, root)
    describe(folder, root)
    Store(folder).add(key_of("a"), Stamp(1, 1), np.zeros((40, 50, 3), np.uint8))
    return folder


def test_each_root_and_each_decoder_has_its_own_folder(tmp_path, monkeypatch):
    first = store_folder(tmp_path, Path("/a"))
    assert first.parent == tmp_path
    assert first == store_folder(tmp_path, Path("/a"))
    assert first != store_folder(tmp_path, Path("/b"))
    monkeypatch.setattr(places.cv2, "__version__", "0.1")
    assert "OpenCV 0.1" in decoded_by()
    assert store_folder(tmp_path, Path("/a")) != first
    monkeypatch.undo()
    monkeypatch.setattr(places, "VERSION", 99)
    assert store_folder(tmp_path, Path("/a")) != first


def test_relative_root_means_the_folder_it_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store_folder(tmp_path, Path("x")) == store_folder(tmp_path, tmp_path / "x")


def test_default_is_below_the_users_cache(monkeypatch, own_cache):
    assert default_base() == own_cache / "trainner/images"


def test_stores_are_listed(tmp_path, monkeypatch):
    folder = fill(tmp_path, Path("/data/ü"))
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("x")
    os.utime(folder / "about.json", (0, 0))
    (found,) = kept(tmp_path)
    assert (found.folder, found.root, found.images, found.is_current) == (folder, "/data/ü", 1, True)
    assert 6000 <= found.bytes_on_disk < 30_000
    assert found.unused_s > 10**9
    describe(folder, Path("/data/ü"))
    (found,) = kept(tmp_path)
    assert found.unused_s < 1000
    monkeypatch.setattr(places.cv2, "__version__", "0.1")
    (found,) = kept(tmp_path)
    assert not found.is_current
    assert list(kept(tmp_path / "missing")) == []


@pytest.mark.parametrize("text", ["", "[]", '{"root": 1}', "[" * 1000])
def test_what_is_no_store_is_left_out(tmp_path, text):
    folder = fill(tmp_path, Path("/a"))
    (folder / "about.json").write_text(text)
    assert list(kept(tmp_path)) == []


def test_removed_store_is_gone(tmp_path):
    folder = fill(tmp_path, Path("/a"))
    remove_folder(folder)
    assert list(tmp_path.iterdir()) == []
    remove_folder(folder)
