import io

import numpy as np
import pytest
from imagekit import numbers
from PIL import Image, features

from traiNNer.imaging import other_formats
from traiNNer.imaging.image_file import ImageError, read_header, read_image
from traiNNer.imaging.other_formats import open_with_plugin, what_it_is


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"GIF89a", "GIF"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"\xff\x0a\xfa\x1f\x01\x91", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04", "ZIP"),
        (b"plain text", None),
    ],
)
def test_files_are_named_for_what_they_are(tmp_path, start, name):
    assert what_it_is(start + bytes(40)) == name
    (tmp_path / "x.png").write_bytes(start + bytes(40))
    with pytest.raises(ImageError, match=name or "not an image"):
        read_header(tmp_path / "x.png")


def test_format_without_a_reader_says_what_to_do(monkeypatch):
    monkeypatch.setattr(other_formats, "find_spec", lambda _: None)
    assert open_with_plugin("AVIF", io.BytesIO()) == (
        "an AVIF file, which is not read here: convert it to PNG, or pip install pillow-avif-plugin"
    )
    assert open_with_plugin("GIF", io.BytesIO()) == "a GIF file, which is not read: convert it to PNG"


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_avif_is_read_as_pillow_reads_it(tmp_path, mode):
    path = tmp_path / "x.avif"
    Image.fromarray(numbers(20, 30, len(mode))).save(path, quality=90)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    header = read_header(path)
    assert (header.width, header.height, header.channels, header.bits) == (30, 20, len(mode), 8)
    np.testing.assert_array_equal(read_image(path), expected)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageError, match=r"damaged AVIF|cannot be decoded"):
        read_image(path)
