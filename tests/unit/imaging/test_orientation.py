"""Photos are turned as Pillow turns them, whatever it is that says so."""

import struct
import zlib

import numpy as np
import pytest
from imagekit import numbers
from PIL import Image, ImageOps, PngImagePlugin

from traiNNer.imaging import orientation
from traiNNer.imaging.image_file import read_header, read_image

PIXELS = numbers(20, 31, 3)


def exif(number):
    tags = Image.Exif()
    tags[0x112] = number
    return tags.tobytes()


ELEMENT = "><tiff:Orientation>{}</tiff:Orientation"


def xmp(number, form='tiff:Orientation="{}"'):
    said = form.format(number)
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {said}></rdf:Description></x:xmpmeta>'.encode()


def raw_profile(number):
    """Return the text that ImageMagick writes."""
    data = exif(number)
    lines = "\n".join(data.hex()[at : at + 72] for at in range(0, 2 * len(data), 72))
    return f"\nexif\n{len(data):8}\n{lines}\n"


def png_with(**texts):
    """Return a function that writes a PNG with texts: `zTXt="keyword", "text"` and so on."""

    def write(path):
        info = PngImagePlugin.PngInfo()
        for kind, (keyword, text) in texts.items():
            if kind == "iTXt":
                info.add_itxt(keyword, text, zip=True)
            else:
                info.add_text(keyword, text, zip=kind == "zTXt")
        Image.fromarray(PIXELS).save(path, pnginfo=info)

    return write


KINDS = {
    "zTXt.png": png_with(zTXt=("Raw profile type exif", raw_profile(6))),
    "tEXt.png": png_with(tEXt=("Raw profile type exif", raw_profile(8))),
    "xmp.png": png_with(iTXt=("XML:com.adobe.xmp", xmp(6).decode())),
    "others.png": png_with(tEXt=("Comment", raw_profile(6)), zTXt=("Raw profile type iptc", raw_profile(6))),
    "xmp.jpg": lambda path: Image.fromarray(PIXELS).save(path, xmp=xmp(8)),
    "element.jpg": lambda path: Image.fromarray(PIXELS).save(path, xmp=xmp(3, ELEMENT)),
    "both.jpg": lambda path: Image.fromarray(PIXELS).save(path, xmp=xmp(8), exif=exif(3)),
    "xmp.webp": lambda path: Image.fromarray(PIXELS).save(path, xmp=xmp(5), lossless=True),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_texts_and_xmp_turn_images_as_pillow_turns_them(tmp_path, name):
    KINDS[name](tmp_path / name)
    with Image.open(tmp_path / name) as image:
        seen = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    header, pixels = read_header(tmp_path / name), read_image(tmp_path / name)
    assert (header.height, header.width) == seen.shape[:2] == pixels.shape[:2]
    assert (header.orientation > 1) == (name != "others.png")
    assert np.abs(pixels.astype(int) - seen).max() <= (4 if name.endswith("jpg") else 0)


def test_exif_chunk_counts_more_than_a_text(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", raw_profile(6), zip=True)
    Image.fromarray(PIXELS).save(tmp_path / "x.png", pnginfo=info, exif=exif(3))
    assert read_header(tmp_path / "x.png").orientation == 3


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"zTXt", b"Raw profile type exif\0\0damaged"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n 9\nno hexadecimal digits"),
        (b"tEXt", b"Raw profile type exif\0"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n 4\n" + b"49492a00"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0damaged"),
        (b"iTXt", b"XML:com.adobe.xmp\0"),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(50_000_000))),
    ],
)
def test_damaged_texts_say_nothing(kind, data):
    assert orientation.of_png_text(kind, data) == orientation.UNTOLD


@pytest.mark.parametrize("data", [b"", b"II*\0", b"Exif\0\0MM\0*\0\0\0\x08", struct.pack("<4sIH", b"II*\0", 8, 500)])
def test_damaged_exif_says_nothing(data):
    assert orientation.of_exif(data) == orientation.UNTOLD
    assert orientation.of_xmp(data + b'tiff:Orientation="9"') == orientation.UNTOLD
