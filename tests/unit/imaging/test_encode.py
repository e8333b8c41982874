from io import BytesIO

import numpy as np
import pytest
from imagekit import numbers
from PIL import Image

from traiNNer.imaging.encode import CannotEncode, Encoding, encode
from traiNNer.imaging.image_file import read_seen

H, W = 6, 9
COLOR, OPACITY = numbers(H, W, 3), numbers(H, W, seed=1)
COLOR16, OPACITY16 = numbers(H, W, 3, bits=16), numbers(H, W, bits=16, seed=1)
GRAY, GRAY16 = COLOR[:, :, 0], COLOR16[:, :, 0]


def opened(data):
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("colors", "opacity", "kind", "mode"),
    [
        (COLOR, None, "png", "RGB"),
        (COLOR, None, "tiff", "RGB"),
        (COLOR, None, "webp", "RGB"),
        (GRAY, None, "png", "L"),
        (GRAY, None, "tiff", "L"),
        (GRAY, OPACITY, "png", "LA"),
        (GRAY, OPACITY, "tiff", "LA"),
        (GRAY16, None, "png", "I;16"),
        (GRAY16, None, "tiff", "I;16"),
        (COLOR, OPACITY, "png", "RGBA"),
        (COLOR, OPACITY, "tiff", "RGBA"),
    ],
)
def test_pillow_reads_the_same_pixels(colors, opacity, kind, mode):
    image = opened(encode(colors, opacity, Encoding(kind, 100)))
    assert image.mode == mode
    expected = colors if opacity is None else np.dstack([colors, opacity])
    assert np.array_equal(np.array(image), expected)


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("colors", [COLOR16, GRAY16])
@pytest.mark.parametrize("opacity", [None, OPACITY16])
def test_sixteen_bits_come_back_exactly(tmp_path, kind, colors, opacity):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(encode(colors, opacity, Encoding(kind)))
    seen, header = read_seen(path)
    assert header.bits == 16
    three = colors if colors.ndim == 3 else np.repeat(colors[:, :, None], 3, axis=2)
    assert np.array_equal(seen.colors, three)
    assert seen.opacity is None if opacity is None else np.array_equal(seen.opacity, opacity)


def test_quality_is_that_of_the_file():
    colors = np.repeat(numbers(64, 64, 1) // 4 + 64, 3, axis=2)  # without colors, which both store coarsely
    for kind in ("jpeg", "webp"):
        low, high = (encode(colors, None, Encoding(kind, quality)) for quality in (20, 95))
        assert opened(low).format == kind.upper()
        errors = [np.abs(np.array(opened(data)).astype(int) - colors).mean() for data in (low, high)]
        assert errors[0] > 1.5 * errors[1] > 0
        assert len(low) < len(high)


def test_transparent_webp_keeps_its_opacity():
    image = opened(encode(COLOR, OPACITY, Encoding("webp", 100)))
    assert np.array_equal(np.array(image)[:, :, 3], OPACITY)


@pytest.mark.parametrize(
    ("colors", "opacity", "kind", "said"),
    [
        (COLOR, OPACITY, "jpeg", "is transparent, which jpeg cannot be: write png or webp"),
        (np.zeros((1, 16384, 3), np.uint8), None, "webp", "16384x1 pixels are too many for webp"),
    ],
)
def test_what_a_format_cannot_hold_is_said(colors, opacity, kind, said):
    with pytest.raises(CannotEncode, match=said):
        encode(colors, opacity, Encoding(kind))
