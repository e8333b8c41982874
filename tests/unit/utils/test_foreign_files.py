import io
import json
import os
import tarfile

import pytest

from traiNNer.utils.foreign_files import ForeignFile, is_pickle, is_safetensors, is_zip, refuse_special, what_it_is


def packed() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("w.pth"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "suffix", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ".pth", "is a Git LFS pointer"),
        (b"  \n<!DOCTYPE html><html>", ".pth", "a web page"),
        (b"<?xml version='1.0'?><Error>", ".pth", "a web page"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.0.0" + bytes(200), ".pth", "an ONNX model"),
        (b"\x00\x01", ".onnx", "an ONNX model"),
        (packed(), ".pth", "a tar archive: unpack it"),
        (b"\x1f\x8b\x08", ".pth", "compressed with gzip"),
        (b"{\"error\": \"not found\"}", ".pth", "is JSON text"),
        (b"hello world, no weights here", ".pth", r"is text, not a weights file \(it begins with 'hello world"),
        (bytes(4096), ".pth", "only zeros"),
        (b"\x89HDF\r\n\x1a\n", ".pth", "Keras"),
        (b"GGUF\x03", ".pth", "GGUF"),
        (b"\xff\xd8\xff\xe0", ".pth", "a JPEG image"),
        (b"\xfe\x01\x02\x03" * 9, ".pth", "not a readable weights file"),
        (b"\xfe\x01\x02\x03" * 9, ".safetensors", "not a readable safetensors file"),
    ],
)  # fmt: skip
def test_foreign_files_are_named(head, suffix, words):
    with pytest.raises(ForeignFile, match=words):
        raise ForeignFile(what_it_is(head, suffix))


def test_formats_of_weights_are_recognized_by_content():
    header = json.dumps({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode()
    assert is_safetensors(len(header).to_bytes(8, "little") + header)
    assert not is_safetensors(b"\xff" * 8 + b"{")
    assert is_zip(b"PK\x03\x04")
    assert is_pickle(b"\x80\x02}")
    assert not is_pickle(b"\x80\x63}")


def test_what_is_no_file_is_refused_without_opening_it(tmp_path):
    (tmp_path / "empty").touch()
    for name, words in ((".", "a folder"), ("none", "does not exist"), ("empty", r"is empty \(0 bytes\)")):
        with pytest.raises(ForeignFile, match=words):
            refuse_special(tmp_path / name)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ForeignFile, match="a pipe or a device"):
            refuse_special(tmp_path / "pipe")
