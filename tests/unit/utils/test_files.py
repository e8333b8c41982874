import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traiNNer.utils import files
from traiNNer.utils.files import (
    is_folder,
    natural_key,
    nearest_existing,
    open_own,
    read_text_bounded,
    sha256_of,
    write_bytes_atomic,
)


@pytest.fixture
def calls(monkeypatch):
    """Record write, fsync and rename in order, and fail at a chosen one."""
    log: list[str] = []
    failing: dict[str, OSError] = {}
    real_fsync, real_replace, real_open = os.fsync, os.replace, os.fdopen

    def step(name):
        log.append(name)
        if name in failing:
            raise failing[name]

    def fsync(handle):
        step("fsync folder" if Path(f"/proc/self/fd/{handle}").is_dir() else "fsync file")
        real_fsync(handle)

    def replace(source, target):
        step("rename")
        real_replace(source, target)

    def opened(handle, *args, **kwargs):
        file = real_open(handle, *args, **kwargs)
        real_write = file.write

        class Watched:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, data):
                real_write(data[: len(data) // 2])
                step("write")
                real_write(data[len(data) // 2 :])

            def flush(self):
                file.flush()
                step("flush")

            def fileno(self):
                return file.fileno()

        return Watched()

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "fdopen", opened)
    return log, failing


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells folders from files by /proc")


@linux
def test_write_order_survives_a_power_loss(tmp_path, calls):
    log, _ = calls
    write_bytes_atomic(tmp_path / "a/b/x.bin", b"new")
    assert log == ["write", "flush", "fsync file", "rename", "fsync folder"]
    assert (tmp_path / "a/b/x.bin").read_bytes() == b"new"


@linux
@pytest.mark.parametrize("name", ["write", "flush", "fsync file", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_failure_leaves_the_old_content_and_no_temporary_file(tmp_path, calls, name, code):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old content")
    calls[1][name] = OSError(code, os.strerror(code))
    with pytest.raises(OSError, match=os.strerror(code)):
        write_bytes_atomic(path, b"new content")
    assert path.read_bytes() == b"old content"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


@linux
def test_interrupt_leaves_no_temporary_file_either(tmp_path, calls):
    calls[1]["fsync file"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomic(tmp_path / "x.bin", b"new")
    assert list(tmp_path.iterdir()) == []


@linux
def test_unsyncable_folder_is_not_an_error(tmp_path, calls):
    calls[1]["fsync folder"] = OSError(errno.EINVAL, "Invalid argument")
    write_bytes_atomic(tmp_path / "x.bin", b"new")
    assert (tmp_path / "x.bin").read_bytes() == b"new"


def test_temporary_file_is_in_the_same_folder(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "replace", lambda source, target: seen.append((Path(source), Path(target))))
    write_bytes_atomic(tmp_path / "x.bin", b"1")
    ((source, target),) = seen
    assert source.parent == target.parent == tmp_path
    assert source.name.startswith(".x.bin.tmp-")


def test_file_has_the_usual_rights(tmp_path):
    write_bytes_atomic(tmp_path / "x.bin", b"1")
    (tmp_path / "y.bin").write_bytes(b"1")
    assert (tmp_path / "x.bin").stat().st_mode == (tmp_path / "y.bin").stat().st_mode


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "名" * 80 + ".png", "with space %20 é 🐘.png"])
def test_names_up_to_the_limit_of_the_file_system(tmp_path, name):
    write_bytes_atomic(tmp_path / name, b"1")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_sha256(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(data)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_nearest_existing(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_text("")
    assert nearest_existing(tmp_path / "a") == tmp_path / "a"
    assert nearest_existing(tmp_path / "a/b/c/d") == tmp_path / "a"
    assert nearest_existing(tmp_path / "a/file/x") == tmp_path / "a"
    assert nearest_existing(Path("/no such root folder/x")) == Path("/")


def test_relative_path_starts_at_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nearest_existing(Path("missing/deeper")) == tmp_path


def test_inaccessible_folder_is_not_a_folder(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.Path, "is_dir", refuse)
    assert not is_folder(tmp_path)


def test_natural_order():
    names = ["img10", "img2", "IMG1", "img02b", "a", "2", "10", "1x2", "é", ""]
    expected = ["", "1x2", "2", "10", "a", "IMG1", "img2", "img02b", "img10", "é"]
    assert sorted(names, key=natural_key) == expected


@given(st.lists(st.text(st.sampled_from("aB1029٣²_. 名"), max_size=8), max_size=8))
def test_any_names_can_be_ordered(names):
    ordered = sorted(names, key=natural_key)
    assert sorted(ordered) == sorted(names)


def test_reading_text_is_bounded(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfabc")
    assert read_text_bounded(path, 6) == "abc"
    with pytest.raises(OSError, match="larger than 5 bytes"):
        read_text_bounded(path, 5)


def test_planted_temporary_link_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "guessed")
    (tmp_path / ".x.bin.tmp-guessed").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_bytes_atomic(tmp_path / "x.bin", b"new")
    assert victim.read_text() == "precious"
    assert (tmp_path / ".x.bin.tmp-guessed").is_symlink()


def test_temporary_names_differ(tmp_path, monkeypatch):
    seen = set()
    monkeypatch.setattr(os, "replace", lambda source, _: seen.add(Path(source).name))
    for _ in range(3):
        write_bytes_atomic(tmp_path / "x.bin", b"1")
    assert len(seen) == 3


def test_target_that_is_a_link_is_replaced(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "x.bin").symlink_to(victim)
    write_bytes_atomic(tmp_path / "x.bin", b"new")
    assert (victim.read_text(), (tmp_path / "x.bin").read_bytes()) == ("precious", b"new")


@pytest.mark.parametrize("plant", [lambda path: path.symlink_to(path.with_name("victim")), os.mkfifo])
def test_own_file_is_neither_a_link_nor_a_pipe(tmp_path, plant):
    path = tmp_path / "x.log"
    plant(path)
    with pytest.raises(OSError, match=r"(it is a link|not a regular file).*remove it|No such device"):
        open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    assert not (tmp_path / "victim").exists()
    path.unlink()
    for _ in range(2):
        with open(path, "a", opener=open_own) as file:
            file.write("line\n")
    assert path.read_text() == "line\nline\n"
