import os
import pickle
import re
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from imagekit import numbers, png_bytes, png_chunk, png_raw, tiff_bytes, write_png
from PIL import Image, ImageOps, features

from traiNNer.imaging.image_file import Header, ImageError, read_header, read_image, read_seen, write_image

H, W = 6, 9
GRAY, COLOUR, ALPHA = numbers(H, W, 1), numbers(H, W, 3, seed=1), numbers(H, W, 4, seed=2)
GRAY16, COLOUR16, ALPHA16 = (numbers(H, W, c, bits=16, seed=c) for c in (1, 3, 4))
GRAY_ALPHA = numbers(H, W, 2, seed=3)
GRAY_ALPHA16 = numbers(H, W, 2, bits=16, seed=4)
PALETTE = numbers(256, 3, seed=5)
BITS = GRAY[:, :, 0] > 127


def three(image):
    return np.repeat(image[:, :, :1], 3, axis=2)


def packed(bits):
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)


def rows(image):
    return b"".join(b"\0" + row.tobytes() for row in image.reshape(H, -1))


def divided(image):
    """Return the colors of an image that were multiplied by their opacity."""
    most = 2 ** (8 * image.itemsize) - 1
    return np.minimum(image[:, :, :3].astype(np.int64) * most // image[:, :, 3:], most).astype(image.dtype)


OPACITY = np.maximum(ALPHA[:, :, 3:], 1)
PREMULTIPLIED = np.dstack([ALPHA[:, :, :3].astype(int) * OPACITY // 255, OPACITY]).astype(np.uint8)
OPACITY16 = np.maximum(ALPHA16[:, :, 3:], 1)
PREMULTIPLIED16 = np.dstack([ALPHA16[:, :, :3].astype(int) * OPACITY16 // 65535, OPACITY16]).astype(np.uint16)
TURNED_16 = Header(W, H, 3, 16, False, 3)
PLTE = png_chunk(b"PLTE", PALETTE.tobytes())
HALF_CLEAR = png_chunk(b"tRNS", bytes(range(256)))

WRITTEN_BY_HAND = {
    "L.png": (png_bytes(GRAY), three(GRAY), Header(W, H, 1, 8)),
    "LA.png": (png_bytes(GRAY_ALPHA), three(GRAY_ALPHA), Header(W, H, 2, 8)),
    "RGB.png": (png_bytes(COLOUR), COLOUR, Header(W, H, 3, 8)),
    "RGBA.png": (png_bytes(ALPHA), ALPHA[:, :, :3], Header(W, H, 4, 8)),
    "L16.png": (png_bytes(GRAY16), three(GRAY16), Header(W, H, 1, 16)),
    "LA16.png": (png_bytes(GRAY_ALPHA16), three(GRAY_ALPHA16), Header(W, H, 2, 16)),
    "RGB16.png": (png_bytes(COLOUR16), COLOUR16, Header(W, H, 3, 16)),
    "RGBA16.png": (png_bytes(ALPHA16), ALPHA16[:, :, :3], Header(W, H, 4, 16)),
    "1.png": (png_raw(W, H, 1, 0, packed(BITS)), three(np.uint8(BITS)[:, :, None] * 255), Header(W, H, 1, 8)),
    "P.png": (png_raw(W, H, 8, 3, rows(GRAY), PLTE), PALETTE[GRAY[:, :, 0]], Header(W, H, 3, 8)),
    "P clear.png": (png_raw(W, H, 8, 3, rows(GRAY), PLTE + HALF_CLEAR), PALETTE[GRAY[:, :, 0]], Header(W, H, 3, 8)),
    "gamma.png": (png_bytes(COLOUR, png_chunk(b"gAMA", struct.pack(">I", 100000))), COLOUR, Header(W, H, 3, 8)),
    "L.tif": (tiff_bytes(GRAY), three(GRAY), Header(W, H, 1, 8)),
    "negative.tif": (tiff_bytes(GRAY, photometric=0), three(255 - GRAY), Header(W, H, 1, 8)),
    "RGB.tif": (tiff_bytes(COLOUR), COLOUR, Header(W, H, 3, 8)),
    "RGB big-endian.tif": (tiff_bytes(COLOUR, ">"), COLOUR, Header(W, H, 3, 8)),
    "RGBA.tif": (tiff_bytes(ALPHA, extra=2), ALPHA[:, :, :3], Header(W, H, 4, 8)),
    "RGBA premultiplied.tif": (tiff_bytes(PREMULTIPLIED, extra=1), divided(PREMULTIPLIED), Header(W, H, 4, 8)),
    "RGBA16 premultiplied.tif": (
        tiff_bytes(PREMULTIPLIED16, extra=1),
        divided(PREMULTIPLIED16),
        Header(W, H, 4, 16),
    ),
    "negative16.tif": (tiff_bytes(GRAY16, photometric=0), three(65535 - GRAY16), Header(W, H, 1, 16)),
    "planar.tif": (tiff_bytes(COLOUR, planar=True), COLOUR, Header(W, H, 3, 8)),
    "planar16.tif": (tiff_bytes(COLOUR16, planar=True), COLOUR16, Header(W, H, 3, 16)),
    "planar16 big-endian.tif": (tiff_bytes(COLOUR16, ">", planar=True), COLOUR16, Header(W, H, 3, 16)),
    "planar RGBA16.tif": (tiff_bytes(ALPHA16, extra=2, planar=True), ALPHA16[:, :, :3], Header(W, H, 4, 16)),
    "planar turned16.tif": (tiff_bytes(COLOUR16, orientation=3, planar=True), COLOUR16[::-1, ::-1], TURNED_16),
    "RGBA big-endian.tif": (tiff_bytes(ALPHA, ">", extra=2), ALPHA[:, :, :3], Header(W, H, 4, 8)),
    "L16.tif": (tiff_bytes(GRAY16), three(GRAY16), Header(W, H, 1, 16)),
    "L16 big-endian.tif": (tiff_bytes(GRAY16, ">"), three(GRAY16), Header(W, H, 1, 16)),
    "RGB16.tif": (tiff_bytes(COLOUR16), COLOUR16, Header(W, H, 3, 16)),
    "RGBA16.tif": (tiff_bytes(ALPHA16, extra=2), ALPHA16[:, :, :3], Header(W, H, 4, 16)),
    "turned.tif": (tiff_bytes(COLOUR, orientation=6), np.rot90(COLOUR, -1), Header(H, W, 3, 8, False, 6)),
    "mirrored.tif": (tiff_bytes(COLOUR, ">", orientation=2), COLOUR[:, ::-1], Header(W, H, 3, 8, False, 2)),
    "turned16.tif": (tiff_bytes(COLOUR16, orientation=8), np.rot90(COLOUR16), Header(H, W, 3, 16, False, 8)),
    "P.tif": (
        tiff_bytes(GRAY, photometric=3, palette=PALETTE.astype(int) * 257),
        PALETTE[GRAY[:, :, 0]],
        Header(W, H, 3, 8),
    ),
}


@pytest.mark.parametrize("name", WRITTEN_BY_HAND)
def test_unusual_images_are_read_exactly(tmp_path, name):
    data, expected, header = WRITTEN_BY_HAND[name]
    path = tmp_path / name
    path.write_bytes(data)
    assert read_header(path) == header
    image = read_image(path)
    assert image.dtype == expected.dtype
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [("x.webp", {"lossless": True}), ("x.bmp", {}), ("lzw.tif", {"compression": "tiff_lzw"})],
)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_formats_written_by_pillow(tmp_path, name, options, mode):
    path = tmp_path / name
    image = Image.fromarray(COLOUR).quantize(16) if mode == "P" else Image.fromarray(ALPHA).convert(mode)
    image.save(path, **options)
    expected = np.asarray(image.convert("RGBA"))[:, :, :3]
    np.testing.assert_array_equal(read_image(path), expected)
    header = read_header(path)
    assert (header.width, header.height, header.bits) == (W, H, 8)
    assert header.has_alpha == (mode == "RGBA" and not name.endswith("bmp"))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg(tmp_path, mode, progressive):
    smooth = np.add.outer(np.arange(40) * 2, np.arange(56))[:, :, None].repeat(3, 2).astype(np.uint8)
    path = tmp_path / "x.jpg"
    Image.fromarray(smooth).convert(mode).save(path, quality=98, progressive=progressive)
    assert read_header(path) == Header(56, 40, 1 if mode == "L" else 3, 8)
    assert np.abs(read_image(path).astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "lzw.tif", "x.avif"])
def test_photos_are_turned_as_pillow_turns_them(tmp_path, name, number):
    if name.endswith("avif") and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    exif = Image.Exif()
    exif[274] = number
    options = {"x.webp": {"lossless": True}, "lzw.tif": {"compression": "tiff_lzw"}}.get(name, {})
    Image.fromarray(COLOUR).save(tmp_path / name, exif=exif, **options)
    with Image.open(tmp_path / name) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    header, pixels = read_header(tmp_path / name), read_image(tmp_path / name)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.flags.c_contiguous
    assert (header.height, header.width) == expected.shape[:2]
    assert name.endswith("avif") or header.orientation == number


@pytest.mark.parametrize("name", ["x.webp", "x.tif", "x.png"])
def test_first_of_several_frames_is_read(tmp_path, name):
    frames = [Image.fromarray(numbers(H, W, 3, seed=seed)) for seed in range(3)]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert read_header(tmp_path / name).is_animated
    np.testing.assert_array_equal(read_image(tmp_path / name), np.asarray(frames[0]))


def test_single_image_is_not_animated(tmp_path):
    Image.fromarray(ALPHA).save(tmp_path / "x.webp", lossless=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    assert read_header(tmp_path / "x.webp") == Header(W, H, 4, 8)


def refusal(path, **options):
    """Return the reason, after checking that both readers give the same one and name the file."""
    reasons = []
    for read in (read_header, read_image):
        with pytest.raises(ImageError) as caught:
            read(path, **options)
        assert caught.value.path == str(path)
        assert str(path) in str(caught.value)
        reasons.append(caught.value.reason)
    assert reasons[0] == reasons[1]
    return reasons[0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.tif", tiff_bytes(numbers(H, W, 4), photometric=5), "color type CMYK is not supported, convert it to RGB"),
        ("x.tif", tiff_bytes(numbers(H, W, 3), photometric=8), "color type number 8 is not supported"),
        ("x.tif", tiff_bytes(numbers(H, W, 3, bits=16), sample_format=3), "floating-point or signed"),
        ("x.tif", tiff_bytes(numbers(H, W, 1).astype(np.uint32)), "32 bits is not supported"),
        ("x.tif", tiff_bytes(numbers(H, W, 5)), "5 channels"),
        ("x.png", b"", "empty file"),
        ("x.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
        ("x.png", b"<!DOCTYPE html><html>not found</html>", "web page"),
        ("x.png", b"\n\n  <html></html>", "web page"),
        ("x.png", b"plain text", "not an image"),
        ("x.png", b"GIF89a" + bytes(50), "a GIF file"),
        ("x.webp", b"RIFF\x24\0\0\0WAVEfmt " + bytes(50), "not an image"),
        ("x.png", b"\x89PNG\r\n\x1a\n", "truncated PNG"),
        ("x.jpg", b"\xff\xd8\xff\xe0", "truncated JPEG"),
        ("x.jpg", b"\xff\xd8\xff\xe0\0\0" + bytes(20), "damaged JPEG"),
        ("x.png", png_raw(0, 4, 8, 2, None), "damaged PNG: 0x4"),
        ("x.png", png_raw(4, 4, 8, 5, None), "damaged PNG: color type 5"),
        ("x.tif", b"II*\0\xff\xff\xff\x7f", "truncated TIFF"),
    ],
)
def test_non_image_is_refused_with_its_reason(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    assert re.search(reason, refusal(path))


def test_cmyk_jpeg_and_float_tiff_of_other_programs_are_refused(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "x.jpg")
    assert refusal(tmp_path / "x.jpg") == "color type CMYK is not supported, convert it to RGB"
    assert cv2.imwrite(str(tmp_path / "x.tif"), COLOUR.astype(np.float32))
    assert "floating-point" in refusal(tmp_path / "x.tif")


def test_missing_file_folder_and_pipe_with_the_name_of_an_image(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "folder.png") == "is a directory"
    assert refusal(tmp_path / "pipe.png") == "not a regular file"
    assert refusal(tmp_path / "gone.png") == "no such file or directory"


def encoded(kind):
    image = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    done, data = cv2.imencode(f".{kind}", image)
    assert done
    return data.tobytes()


@pytest.mark.parametrize(
    ("kind", "title"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WebP"), ("bmp", "BMP"), ("tif", "TIFF")]
)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_reported_as_such(tmp_path, kind, title, kept):
    data = encoded(kind)
    path = tmp_path / f"x.{kind}"
    path.write_bytes(data[: int(len(data) * kept)])
    assert refusal(path) == f"truncated {title}"


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_every_truncation_is_detected(tmp_path, kind):
    _, data = cv2.imencode(f".{kind}", COLOUR)
    path = tmp_path / "x"
    for length in range(len(data) - (8 if kind == "png" else 1)):  # of a PNG's last chunk, the name is enough
        path.write_bytes(data.tobytes()[:length])
        with pytest.raises(ImageError):
            read_header(path)
    path.write_bytes(data.tobytes())
    assert read_header(path) == Header(W, H, 3, 8)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_trailing_data_is_not_damage(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    path.write_bytes(encoded(kind) + bytes(10_000))
    assert read_image(path).shape == (64, 80, 3)


def test_thumbnail_does_not_hide_a_truncated_jpeg(tmp_path):
    data = encoded("jpg")
    thumbnail = b"Exif\0\0" + data[:2000] + b"\xff\xd9"
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    path = tmp_path / "x.jpg"
    path.write_bytes(whole)
    assert read_header(path) == Header(80, 64, 3, 8)
    path.write_bytes(whole[: 2 + len(thumbnail) + 1500])
    assert refusal(path) == "truncated JPEG"


def test_damage_inside_is_found_when_decoding(tmp_path):
    data = bytearray(encoded("png"))
    middle = len(data) // 2
    data[middle : middle + 30] = bytes(30)
    path = tmp_path / "x.png"
    path.write_bytes(data)
    read_header(path)
    with pytest.raises(ImageError, match=r"x\.png \(damaged"):
        read_image(path)


def test_content_decides_not_the_extension(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "x.jpg", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "x.jpg"), COLOUR)


@pytest.mark.parametrize("read", [read_header, read_image])
@pytest.mark.parametrize(
    "content",
    [
        png_raw(60_000, 60_000, 8, 2, None),
        png_raw(60_000, 60_000, 8, 2, bytes(100)),
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, -60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X\x0a\0\0\0\0\0\0\0" + (59_999).to_bytes(3, "little") * 2,
        tiff_bytes(COLOUR)
        .replace(struct.pack("<HHII", 256, 4, 1, W), struct.pack("<HHII", 256, 4, 1, 60_000))
        .replace(struct.pack("<HHII", 257, 4, 1, H), struct.pack("<HHII", 257, 4, 1, 60_000)),
    ],
    ids=["PNG without data", "PNG", "BMP", "WebP", "TIFF"],
)
def test_decompression_bomb_is_refused_before_decoding(tmp_path, monkeypatch, read, content):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"is 60000x60000 \(3,600 Mpx\), limit 200 Mpx"):
        read(path)


def test_decodable_decompression_bomb_is_refused(tmp_path, monkeypatch):
    zipped = zlib.compressobj(1)
    data = b"".join(zipped.compress(bytes(20_001)) for _ in range(20_000)) + zipped.flush()
    content = png_raw(20_000, 20_000, 8, 0, None)
    end = content.index(b"IEND") - 4
    path = tmp_path / "x.png"
    path.write_bytes(content[:end] + png_chunk(b"IDAT", data) + content[end:])
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    assert refusal(path) == "is 20000x20000 (400 Mpx), limit 200 Mpx"


def test_limit_can_be_set(tmp_path):
    path = write_png(tmp_path / "x.png", numbers(100, 100, 3))
    assert refusal(path, max_megapixels=0.005) == "is 100x100 (0 Mpx), limit 0.005 Mpx"
    assert read_image(path, 0.01).shape == (100, 100, 3)


@pytest.mark.parametrize(
    "name", ["with space", "中文", "🐘🎉", "50% off %20", 'it\'s "q"', "e\u0301", "-dash", "x" * 250]
)
@pytest.mark.parametrize("ending", [".png", ".PNG"])
def test_any_name_works(tmp_path, name, ending):
    path = tmp_path / "Ordner mit ü" / f"{name}{ending}"
    write_image(path, COLOUR)
    assert read_header(path) == Header(W, H, 3, 8)
    np.testing.assert_array_equal(read_image(path), COLOUR)


@pytest.mark.parametrize("image", [COLOUR, COLOUR16], ids=["8 bit", "16 bit"])
def test_round_trip(tmp_path, image):
    write_image(tmp_path / "deep/x.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "deep/x.png"), image)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.png"]


def test_error_is_picklable():
    error = pickle.loads(pickle.dumps(ImageError("d/x.png", "truncated PNG")))
    assert (error.path, error.reason, str(error)) == ("d/x.png", "truncated PNG", "d/x.png (truncated PNG)")


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp", "tif"])
def test_damaged_files_give_an_image_or_a_refusal(tmp_path, kind):
    """Bytes changed at random: no other error, no warning, no image of another size than in the header."""
    done, data = cv2.imencode(f".{kind}", numbers(20, 24, 3))
    assert done
    rng = np.random.default_rng(0)
    path = tmp_path / "x"
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(150):
            bad = data.copy()
            places = rng.integers(0, min(len(bad), 400), rng.integers(1, 6))
            if kind == "tif" and rng.random() < 0.7:
                places = len(bad) - 1 - rng.integers(0, 250, 3)
            bad[places] = rng.integers(0, 256, len(places))
            path.write_bytes(bad.tobytes())
            try:
                image = read_image(path, max_megapixels=4)
            except ImageError:
                refused += 1
                continue
            header = read_header(path)
            assert image.shape == (header.height, header.width, 3)
    assert refused > 5


@pytest.mark.parametrize(
    ("name", "data", "opacity"),
    [
        ("x.png", png_bytes(ALPHA), ALPHA[:, :, 3]),
        ("x.png", png_bytes(GRAY_ALPHA), GRAY_ALPHA[:, :, 1]),
        ("x.png", png_bytes(ALPHA16), ALPHA16[:, :, 3]),
        ("x.png", png_bytes(COLOUR), None),
        ("x.tif", tiff_bytes(ALPHA, extra=2), ALPHA[:, :, 3]),
        ("x.tif", tiff_bytes(ALPHA16, extra=2), ALPHA16[:, :, 3]),
        ("x.tif", tiff_bytes(ALPHA16, extra=2, planar=True), ALPHA16[:, :, 3]),
        ("x.tif", tiff_bytes(PREMULTIPLIED16, extra=1, planar=True), PREMULTIPLIED16[:, :, 3]),
        ("x.tif", tiff_bytes(ALPHA16, extra=2, orientation=3), ALPHA16[::-1, ::-1, 3]),
        ("x.tif", tiff_bytes(PREMULTIPLIED, extra=1), PREMULTIPLIED[:, :, 3]),
    ],
)
def test_opacity_is_given_apart(tmp_path, name, data, opacity):
    (tmp_path / name).write_bytes(data)
    seen, _ = read_seen(tmp_path / name)
    assert np.array_equal(seen.colors, read_image(tmp_path / name))
    assert seen.opacity is None if opacity is None else np.array_equal(seen.opacity, opacity)
