"""Image headers: files written by Pillow must be read with the same properties."""

import io
import os
import struct
import time
import zlib

import pytest
from imagekit import numbers, png_bytes, png_raw, tiff_bytes
from PIL import Image

from traiNNer.imaging.headers import Header, Unusable, parse_header

SIZE = (37, 21)
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def written(form: str, mode: str = "RGB", **options) -> bytes:
    file = io.BytesIO()
    pixels = numbers(SIZE[1], SIZE[0], CHANNELS[mode]).squeeze()
    Image.fromarray(pixels, mode).save(file, form, **options)
    return file.getvalue()


def parsed(data: bytes, limit: float = 100) -> Header:
    return parse_header(io.BytesIO(data), limit)


def refused(data: bytes, limit: float = 100) -> str:
    with pytest.raises(Unusable) as caught:
        parsed(data, limit)
    return str(caught.value)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "L", {}),
        ("PNG", "LA", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("BMP", "RGB", {}),
        ("TIFF", "L", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGBA", {"compression": "tiff_deflate"}),
    ],
)
def test_size_and_channels_match_pillow(form, mode, options):
    data = written(form, mode, **options)
    header = parsed(data)
    assert header == Header(*SIZE, CHANNELS[mode], 8)
    assert (header.has_alpha, header.is_gray) == (mode.endswith("A"), mode.startswith("L"))
    kind = {"WEBP": "WebP"}.get(form, form)
    assert refused(data[: len(data) // 2]) == f"truncated {kind}"


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_several_frames_are_detected(form):
    frames = [Image.fromarray(numbers(21, 37, 3, seed=seed)) for seed in range(3)]
    file = io.BytesIO()
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    assert parsed(file.getvalue()).is_animated
    assert not parsed(written(form)).is_animated


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_images_are_reported(order):
    image = numbers(21, 37, 3, bits=16)
    assert parsed(tiff_bytes(image, order)) == Header(*SIZE, 3, 16)
    assert parsed(png_bytes(image)) == Header(*SIZE, 3, 16)


def test_top_down_bmp_has_a_positive_height():
    data = bytearray(written_bmp())
    data[22:26] = struct.pack("<i", -SIZE[1])
    assert parsed(bytes(data)).height == SIZE[1]


def written_bmp() -> bytes:
    file = io.BytesIO()
    Image.fromarray(numbers(SIZE[1], SIZE[0], 3)).save(file, "BMP")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\xef\xbb\xbf\n <html>", "a web page or other markup"),
        (b"GIF89a" + bytes(20), "a GIF file, which is not read: convert it to PNG"),
        (b"\x89PNG\r\n\x1a\n", "truncated PNG"),
        (png_raw(3, 3, 8, 5, b"x"), "damaged PNG: color type 5"),
        (png_raw(0, 3, 8, 2, b"x"), "damaged PNG: 0x3 pixels"),
        (b"\xff\xd8\xff\xda\x00\x04" + bytes(20), "damaged JPEG"),
        (b"\xff\xd8\xff\x10\x00\x04" + bytes(20), "damaged JPEG"),
        (b"RIFF\x04\0\0\0WEBPVP9 " + bytes(20), "damaged WebP"),
        (tiff_bytes(numbers(3, 3, 4), photometric=5), "color type CMYK is not supported, convert it to RGB"),
        (tiff_bytes(numbers(3, 3, 3), sample_format=3), "color type with floating-point or signed numbers"),
    ],
)
def test_unusable_input_is_reported_with_the_reason(data, reason):
    assert refused(data).startswith(reason)


def test_cmyk_jpeg_is_refused():
    file = io.BytesIO()
    Image.new("CMYK", SIZE).save(file, "JPEG")
    assert refused(file.getvalue()) == "color type CMYK is not supported, convert it to RGB"


def test_decompression_bomb_is_refused_before_decoding_anything():
    assert refused(png_raw(20_000, 10_000, 8, 2, None), 100) == "is 20000x10000 (200 Mpx), limit 100 Mpx"
    assert parsed(png_raw(10_000, 10_000, 8, 2, None), 100).width == 10_000


def test_end_of_a_thumbnail_is_not_the_end_of_a_jpeg():
    file = io.BytesIO()
    Image.fromarray(numbers(SIZE[1], SIZE[0], 3)).save(file, "JPEG", exif=b"Exif\0\0" + b"\xff\xd8\xff\xd9" * 4)
    data = file.getvalue()
    assert parsed(data).width == SIZE[0]
    assert refused(data[:-2]) == "truncated JPEG"


IHDR = png_raw(96, 96, 8, 2, None)[:33]
SCAN = b"\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0"
FRAME = b"\xff\xc0\0\x11\x08\0\x60\0\x60\x03\x01\x11\0\x02\x11\0\x03\x11\0"


@pytest.mark.parametrize(
    ("start", "size", "reason"),
    [
        (IHDR, 100_000_000, "truncated PNG"),
        (IHDR, 2_000_000_000, "damaged PNG: 2,000 MB for 96x96 pixels"),
        (IHDR + (bytes(4) + b"IDAT" + bytes(4)) * 300_000, None, "damaged PNG: more than 200,000 chunks"),
        (b"\xff\xd8" + FRAME + SCAN, 2_000_000_000, "damaged JPEG: 2,000 MB for 96x96 pixels"),
        (b"\xff\xd8" + b"\xff" * 8_000_000 + b"\xd9", None, "damaged JPEG"),
        (b"\xff\xd8" + b"\xff\xe1\0\2" * 300_000, None, "damaged JPEG"),
    ],
    ids=["PNG of zeros", "sparse PNG", "PNG of empty chunks", "sparse JPEG", "JPEG of fill bytes", "JPEG of segments"],
)
def test_header_that_would_keep_us_busy_is_refused_soon(tmp_path, start, size, reason):
    path = tmp_path / "x"
    path.write_bytes(start)
    if size:
        os.truncate(path, size)
    started = time.process_time()
    with path.open("rb") as file, pytest.raises(Unusable) as caught:
        parse_header(file, 100)
    assert str(caught.value) == reason
    assert time.process_time() - started < 1.5


class Counting(io.BytesIO):
    """A file that counts the bytes that are read from it."""

    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_second_description_of_a_picture_is_not_read():
    exif = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 274, 3, 1, 6, 0, 0) + bytes(200_000)
    png = written("PNG")
    webp = bytearray(written("WEBP", exif=exif))
    part = b"EXIF" + struct.pack("<I", len(exif)) + exif
    start = webp.index(b"EXIF")
    webp[start:] = part * 30
    webp[4:8] = struct.pack("<I", len(webp) - 8)
    for data in (png[:33] + chunk(b"eXIf", exif) * 30 + png[33:], bytes(webp)):
        file = Counting(data)
        header = parse_header(file, 100)
        assert (header.orientation, header.width) == (6, SIZE[1])
        assert file.count < 3 * len(exif)


def test_large_file_of_a_format_that_is_taken_in_as_a_whole_is_refused_unread(tmp_path):
    path = tmp_path / "x.avif"
    path.write_bytes(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf")
    os.truncate(path, 2_000_000_000)
    with path.open("rb") as file, pytest.raises(Unusable, match=r"^2,000 MB of AVIF are not supported, limit 268 MB$"):
        parse_header(file, 100)
