import json
import os
import threading
from pathlib import Path

import pytest
from imagekit import numbers, write_png

from traiNNer.data.files import header_cache as headers
from traiNNer.data.files.header_cache import read_headers
from traiNNer.imaging.image_file import Header, ImageError


@pytest.fixture
def reads(monkeypatch):
    """Record which files are opened."""
    opened: list[str] = []
    real = headers.read_header

    def read(path, *arguments):
        opened.append(Path(path).name)
        return real(path, *arguments)

    monkeypatch.setattr(headers, "read_header", read)
    return opened


@pytest.fixture
def files(tmp_path):
    return [write_png(tmp_path / "set" / f"{n}.png", numbers(4 + n, 5, 3)) for n in range(3)]


def test_second_scan_opens_nothing(files, reads):
    first = read_headers(files, 200)
    assert first == {path: Header(5, 4 + n, 3, 8) for n, path in enumerate(files)}
    assert sorted(reads) == ["0.png", "1.png", "2.png"]
    reads.clear()
    assert read_headers(files, 200) == first
    assert reads == []


def test_order_and_count_survive_many_files(tmp_path):
    files = [write_png(tmp_path / f"{n}.png", numbers(1 + n % 7, 1 + n % 11, 3)) for n in range(300)]
    found = read_headers(files, 200)
    assert list(found) == files
    assert all(found[path] == Header(1 + n % 11, 1 + n % 7, 3, 8) for n, path in enumerate(files))


def test_changed_size_or_mtime_invalidates_the_cache(files, reads):
    read_headers(files, 200)
    reads.clear()
    status = files[0].stat()
    write_png(files[0], numbers(50, 60, 3))
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns))  # same time, other size
    content = files[1].read_bytes()
    files[1].write_bytes(content)
    os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))  # same size, other time
    found = read_headers(files, 200)
    assert sorted(reads) == ["0.png", "1.png"]
    assert found[files[0]] == Header(60, 50, 3, 8)


def test_changed_limit_invalidates_the_cache(files, reads):
    read_headers(files, 200)
    assert isinstance(read_headers(files, 1e-5)[files[2]], ImageError)
    assert all(isinstance(header, Header) for header in read_headers(files, 200).values())
    assert len(reads) == 9


def test_unreadable_files_are_returned_and_not_cached(files, reads):
    files[1].write_bytes(b"")
    (error,) = [value for value in read_headers(files, 200).values() if isinstance(value, ImageError)]
    assert str(error) == f"{files[1]} (empty file)"
    reads.clear()
    read_headers(files, 200)
    assert reads == ["1.png"]


def test_missing_file_is_an_error_each_time(files):
    files[0].unlink()
    for _ in range(2):
        found = read_headers(files, 200)[files[0]]
        assert isinstance(found, ImageError)
        assert found.reason == "no such file or directory"


def test_datasets_in_one_root_share_the_cache(tmp_path, reads):
    sets = [[write_png(tmp_path / name / "1.png", numbers(4, 5, 3))] for name in ("a", "b", "c")]
    for files in sets * 2:
        read_headers(files, 200)
    assert len(reads) == 3


def test_unwritable_cache_is_skipped(files, reads, own_cache, monkeypatch):
    blocked = own_cache / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    for _ in range(2):
        assert len(read_headers(files, 200)) == 3
    assert len(reads) == 6


def test_user_without_a_home_has_no_cache(files, reads, monkeypatch):
    monkeypatch.setattr(headers, "cache_folder", lambda _: None)
    for _ in range(2):
        assert len(read_headers(files, 200)) == 3
    assert len(reads) == 6


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"3", b'{"a": 1}', "entry", "null", '["x", "abcde"]'],
)
def test_damaged_cache_is_rebuilt(files, reads, own_cache, content):
    expected = read_headers(files, 200)
    (store,) = own_cache.rglob("*.json")
    if isinstance(content, str):
        known = json.loads(store.read_text())
        stamp = known[str(files[0])][0]
        known[str(files[0])] = {"entry": [stamp, [5, 4, "3", 8, False]], "null": None}.get(content, ["x", "abcde"])
        content = json.dumps(known).encode()
    store.write_bytes(content)
    reads.clear()
    assert read_headers(files, 200) == expected
    assert "0.png" in reads


@pytest.mark.parametrize("place", range(6))
def test_one_flipped_bit_is_a_miss(files, own_cache, place):
    expected = read_headers(files, 200)
    (store,) = own_cache.rglob("*.json")
    content = bytearray(store.read_bytes())
    digits = [at for at, byte in enumerate(content) if chr(byte).isdigit()]
    content[digits[-(place * 7 + 1)]] ^= 1
    store.write_bytes(content)
    assert read_headers(files, 200) == expected


def test_file_that_does_not_answer_is_named(files, monkeypatch):
    blocked, real = threading.Event(), headers.read_header

    def read(path, *arguments):
        return blocked.wait(10) if path == files[1] else real(path, *arguments)

    monkeypatch.setattr(headers, "read_header", read)
    monkeypatch.setattr(headers, "PATIENCE_S", 0.7)
    found = read_headers(files, 200)
    blocked.set()
    assert isinstance(found[files[0]], Header)
    assert str(found[files[1]]) == f"{files[1]} (no answer for 0.7 s: is the disk or network share slow?)"


def test_no_files_no_cache(own_cache):
    assert read_headers([], 200) == {}
    assert list(own_cache.iterdir()) == []


def test_names_that_are_no_unicode_are_remembered(tmp_path, reads):
    try:
        path = write_png(tmp_path / "set" / "caf\udce9.png", numbers(4, 5, 3))
    except OSError:
        pytest.skip("this file system wants Unicode")
    read_headers([path], 200)
    reads.clear()
    assert read_headers([path], 200) == {path: Header(5, 4, 3, 8)}
    assert reads == []


@pytest.mark.parametrize("text", ["[" * 10_000, "[]", "5", '{"a": 5}', '{"a": ["x", [[]], 5]}', "\xff", ""])
def test_cache_of_other_content_is_written_anew(files, reads, text):
    read_headers(files, 200)
    (store,) = (Path(os.environ["XDG_CACHE_HOME"]) / "trainner/headers").glob("*.json")
    store.write_text(text, encoding="latin1")
    reads.clear()
    assert len(read_headers(files, 200)) == 3
    assert len(reads) == 3
    reads.clear()
    read_headers(files, 200)
    assert reads == []
