"""The pixels of unusual images are those that Pillow shows, and damage that a decoder only mentions is an error."""

import io
import struct

import cv2
import numpy as np
import pytest
from imagekit import numbers, photo
from PIL import Image

from traiNNer.imaging.image_file import ImageError, read_header, read_image

H, W = 24, 32
PALETTE = numbers(256, 3, seed=5)
INDEX = numbers(H, W, seed=6)
COLORS = numbers(H, W, 3, seed=7)
MASKS = {"bgrx": (0xFF0000, 0xFF00, 0xFF), "rgbx": (0xFF, 0xFF00, 0xFF0000), "565": (0xF800, 0x7E0, 0x1F)}


def bmp(bits, rows, palette=b"", core=False, masks=(), head=40):
    """Return a BMP of rows of bytes, the first on top."""
    body = b"".join(bytes(row) + bytes(-len(row) % 4) for row in rows[::-1])
    if core:
        info = struct.pack("<IHHHH", 12, W, H, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", head, W, H, 1, bits, 3 if masks else 0, len(body), 0, 0, 0, 0)
    info += struct.pack(f"<{len(masks)}I", *masks)
    info = info.ljust(head, b"\0") if head > 40 else info
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + palette + body


def with_alpha(order):
    pixels = np.dstack([COLORS, np.zeros((H, W), np.uint8)])[:, :, order]
    return [row.tobytes() for row in pixels]


def packed(bits):
    index = INDEX & ((1 << bits) - 1)
    shown = (index[:, :, None] >> np.arange(bits)[::-1]) & 1
    return [np.packbits(row.reshape(-1)).tobytes() for row in shown.astype(np.uint8)]


BGR = np.ascontiguousarray(PALETTE[:, ::-1])
BGRX = np.dstack([BGR[None], np.zeros((1, 256), np.uint8)])[0].astype(np.uint8)
FIVE_SIX_FIVE = [(numbers(W, bits=16, seed=row)).astype("<u2").tobytes() for row in range(H)]
BMPS = {
    "windows palette": bmp(8, [row.tobytes() for row in INDEX], BGRX.tobytes()),
    "OS/2 palette": bmp(8, [row.tobytes() for row in INDEX], BGR.tobytes(), core=True),
    "OS/2 4 bits": bmp(4, packed(4), BGR[:16].tobytes(), core=True),
    "1 bit": bmp(1, packed(1), BGRX[:2].tobytes()),
    "16 bits": bmp(16, FIVE_SIX_FIVE),
    "565": bmp(16, FIVE_SIX_FIVE, masks=MASKS["565"]),
    "24 bits": bmp(24, [row.tobytes() for row in COLORS]),
    "32 bits": bmp(32, with_alpha([2, 1, 0, 3])),
    "BGRX masks": bmp(32, with_alpha([2, 1, 0, 3]), masks=MASKS["bgrx"]),
    "RGBX masks": bmp(32, with_alpha([0, 1, 2, 3]), masks=MASKS["rgbx"]),
    "RGBX masks in the header": bmp(32, with_alpha([0, 1, 2, 3]), masks=(*MASKS["rgbx"], 0), head=108),
    "odd masks": bmp(16, FIVE_SIX_FIVE, masks=(0x1F, 0x3E0, 0x7C00)),
}


@pytest.mark.parametrize("name", BMPS)
def test_bmp_is_what_pillow_shows_or_is_refused_by_its_header(tmp_path, name):
    path = tmp_path / "x.bmp"
    path.write_bytes(BMPS[name])
    try:
        expected = np.asarray(Image.open(path).convert("RGB"))
    except OSError:
        with pytest.raises(ImageError, match="cannot be decoded"):
            read_header(path)
        return
    read_header(path)
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "YCbCr"])
@pytest.mark.parametrize(
    "compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4", "tiff_adobe_deflate"]
)
def test_tiff_is_what_pillow_shows(tmp_path, mode, compression):
    path = tmp_path / "x.tif"
    image = Image.fromarray(COLORS).quantize(16) if mode == "P" else Image.fromarray(numbers(H, W, 4)).convert(mode)
    try:
        image.save(path, compression=compression)
    except (OSError, ValueError, RuntimeError):
        pytest.skip("not written by Pillow")
    with Image.open(path) as written:
        expected = np.asarray(written.convert("RGB")).astype(int)
    read_header(path)
    assert np.abs(read_image(path) - expected).max() <= 1  # two JPEG decoders differ in rounding


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_animated_png_is_the_still_image_that_others_show(tmp_path, mode):
    path = tmp_path / "x.png"
    frames = [Image.fromarray(numbers(H, W, 4, seed=seed)).convert(mode) for seed in range(3)]
    for default in (True, False):
        frames[0].save(path, save_all=True, append_images=frames[1:], default_image=default)
        np.testing.assert_array_equal(read_image(path), np.asarray(frames[0].convert("RGBA"))[:, :, :3])


def whole_jpeg():
    file = io.BytesIO()
    Image.fromarray(photo()).save(file, "JPEG", quality=95)
    return file.getvalue()


def zeroed(data):
    third = len(data) // 3
    return data[:third] + bytes(len(data) - third - 2) + data[-2:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (zeroed, "extraneous bytes before marker 0xd9|bad Huffman code|premature end"),
        (lambda data: data[: len(data) // 2] + b"\xff\xd9", "premature end of data segment"),
        (lambda data: data[: len(data) // 2] + b"\xff\xd0" + data[len(data) // 2 :], "Corrupt JPEG data"),
    ],
    ids=["zeros", "cut off and closed", "a marker inside"],
)
def test_damaged_jpeg_is_an_error_and_nothing_reaches_the_terminal(tmp_path, capfd, damage, reason):
    path = tmp_path / "x.jpg"
    path.write_bytes(whole_jpeg())
    assert read_image(path).shape == (256, 256, 3)
    path.write_bytes(damage(whole_jpeg()))
    with pytest.raises(ImageError, match=rf"x\.jpg \(damaged: .*({reason})"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_padding_in_a_jpeg_is_no_damage(tmp_path):
    data = whole_jpeg()
    (tmp_path / "x.jpg").write_bytes(data[:-2] + bytes(4) + data[-2:])
    assert read_image(tmp_path / "x.jpg").shape == (256, 256, 3)


def test_damaged_tiff_is_an_error(tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(photo()).save(path, compression="tiff_lzw")
    with Image.open(path) as image:
        start, length = image.tag_v2[273][0], image.tag_v2[279][0]
    data = bytearray(path.read_bytes())
    data[start + length // 2 : start + length // 2 + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged: LZWDecode"):
        read_image(path)


def test_usual_images_are_decoded_by_opencv_bit_for_bit(tmp_path):
    image = photo()
    for name in ("x.png", "x.jpg", "x.webp"):
        cv2.imwrite(str(tmp_path / name), image[:, :, ::-1])
        expected = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)[:, :, ::-1]
        np.testing.assert_array_equal(read_image(tmp_path / name), expected)
