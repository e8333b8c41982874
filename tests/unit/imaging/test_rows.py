"""Rows of a PNG: equal to those of the whole image, or not given at all."""

import os
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from imagekit import numbers, wide_profile
from PIL import Image

from traiNNer.imaging import rows as module
from traiNNer.imaging.image_file import ImageError, read_image
from traiNNer.imaging.rows import read_rows

needs_vips = pytest.mark.skipif(module._vips() is None, reason="pyvips is not installed")


@pytest.fixture(autouse=True)
def forgetful():
    module._good.clear()


def write(path, image, **options):
    Image.fromarray(image).save(path, **options)
    return path


@needs_vips
@pytest.mark.parametrize("place", [(0, 10), (0, 1), (13, 40), (50, 71)])
@pytest.mark.parametrize("kind", ["rgb", "gray", "rgb16", "gray16", "filters"])
def test_rows_are_those_of_the_whole_image(tmp_path, kind, place):
    path = tmp_path / "x.png"
    if kind.endswith("16"):
        image = numbers(80, 61, 3, bits=16)
        cv2.imwrite(str(path), image if kind == "rgb16" else image[:, :, 0])
    elif kind == "filters":
        smooth = np.add.outer(np.arange(80), np.arange(61)).astype(np.uint8)
        write(path, np.dstack([smooth, smooth // 2, numbers(80, 61, 3)[:, :, 0]]))
    else:
        image = numbers(80, 61, 3)
        write(path, image if kind == "rgb" else image[:, :, 0])
    whole, part = read_image(path), read_rows(path, *place, 200)
    assert part is not None
    assert (part.shape, part.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(part[slice(*place)], whole[slice(*place)])


@needs_vips
def test_rows_beyond_the_image_are_those_that_there_are(tmp_path):
    path = write(tmp_path / "x.png", numbers(80, 61, 3))
    part = read_rows(path, -5, 20, 200)
    np.testing.assert_array_equal(part[:20], read_image(path)[:20])


def orientation(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


MANY = {
    "turned": lambda path, image: write(path, image, exif=orientation(6)),
    "palette": lambda path, image: Image.fromarray(image).quantize(16).save(path),
    "opacity": lambda path, image: write(path, np.dstack([image, image[:, :, 0]])),
    "profile": lambda path, image: write(path, image, icc_profile=wide_profile()),
    "one bit": lambda path, image: Image.fromarray(image[:, :, 0] > 99).save(path),
    "transparent color": lambda path, image: write(path, image, transparency=(1, 2, 3)),
    "jpeg": lambda path, image: Image.fromarray(image).save(path, "JPEG"),
}


@pytest.mark.parametrize("kind", MANY)
def test_what_is_not_certain_is_left_to_the_whole_image(tmp_path, kind):
    path = tmp_path / "x.png"
    MANY[kind](path, numbers(80, 61, 3))
    assert read_rows(path, 3, 20, 200) is None
    read_image(path)


@needs_vips
@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_damage_anywhere_is_left_to_the_whole_image(tmp_path, place):
    path = write(tmp_path / "x.png", numbers(80, 61, 3))
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 4
    path.write_bytes(data)
    assert read_rows(path, 3, 20, 200) is None
    with pytest.raises(ImageError):
        read_image(path)


@needs_vips
def test_file_that_changed_is_checked_again(tmp_path):
    path = write(tmp_path / "x.png", numbers(80, 61, 3))
    assert read_rows(path, 3, 20, 200) is not None
    data = bytearray(path.read_bytes())
    data[len(data) - 40] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(7, 7))
    assert read_rows(path, 3, 20, 200) is None


@needs_vips
def test_content_that_does_not_inflate_is_left_to_the_whole_image(tmp_path):
    path = write(tmp_path / "x.png", numbers(80, 61, 3))
    data = path.read_bytes()
    place = data.index(b"IDAT") - 4
    junk = b"IDAT" + b"\x78\x01" + bytes(100)
    chunk = struct.pack(">I", len(junk) - 4) + junk + struct.pack(">I", zlib.crc32(junk))
    path.write_bytes(data[:place] + chunk + data[-12:])
    assert read_rows(path, 3, 20, 200) is None


@needs_vips
def test_limits_hold_for_rows_too(tmp_path):
    path = write(tmp_path / "x.png", numbers(80, 61, 3))
    with pytest.raises(ImageError, match=r"limit 0\.001 Mpx"):
        read_rows(path, 3, 20, 0.001)


def test_without_the_library_or_after_a_fork_the_whole_image_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "x.png", numbers(80, 61, 3))
    monkeypatch.setattr(module, "_first_process", [os.getpid() + 1])
    assert read_rows(path, 3, 20, 200) is None
    monkeypatch.setattr(module, "_first_process", [])
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert read_rows(path, 3, 20, 200) is None
    monkeypatch.undo()
    module._vips_here.cache_clear()
    monkeypatch.setitem(sys.modules, "pyvips", None)
    assert read_rows(path, 3, 20, 200) is None
    module._vips_here.cache_clear()
