import io

import numpy as np
import pytest
from imagekit import numbers, png_bytes, png_chunk, wide_profile
from PIL import Image, ImageCms

from traiNNer.imaging.color_profile import profile_name, to_srgb
from traiNNer.imaging.image_file import ImageError, read_header, read_image

COLORS = numbers(40, 56, 3)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def shown(image: Image.Image, profile: bytes) -> np.ndarray:
    """Return the colors that a viewer shows."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"))


@pytest.mark.parametrize(("profile", "gray"), [(b"", False), (b"garbage" * 30, False), (bytes(132), True)])
def test_damaged_profile_is_passed_over(profile, gray):
    assert profile_name(profile, gray) == ""


def test_profile_of_another_color_space_is_passed_over():
    assert profile_name(wide_profile(), is_gray=True) == ""


def test_srgb_changes_nothing():
    assert profile_name(srgb(), is_gray=False) == ""


def test_wide_profile_is_named_and_converted():
    assert profile_name(wide_profile(), is_gray=False) == "wide"
    np.testing.assert_array_equal(to_srgb(COLORS, wide_profile()), shown(Image.fromarray(COLORS), wide_profile()))


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif"])
def test_images_with_a_profile_are_read_as_they_are_shown(tmp_path, name):
    path, options = tmp_path / name, {"lossless": True} if name == "x.webp" else {}
    Image.fromarray(COLORS).save(path, icc_profile=wide_profile(), **options)
    with Image.open(path) as image:
        expected = shown(image, wide_profile())
    assert read_header(path).profile == "wide"
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif"])
def test_images_with_srgb_are_read_as_they_are_stored(tmp_path, name):
    options = {"lossless": True} if name == "x.webp" else {}
    Image.fromarray(COLORS).save(tmp_path / name, icc_profile=srgb(), **options)
    Image.fromarray(COLORS).save(tmp_path / f"plain {name}", **options)
    assert read_header(tmp_path / name).profile == ""
    np.testing.assert_array_equal(read_image(tmp_path / name), read_image(tmp_path / f"plain {name}"))


def test_long_profile_in_many_parts_of_a_jpeg(tmp_path):
    profile = wide_profile() + bytes(150_000)  # what follows the tags is not looked at
    Image.fromarray(COLORS).save(tmp_path / "x.jpg", icc_profile=profile)
    assert read_header(tmp_path / "x.jpg").profile == "wide"


def test_16_bits_with_a_profile_are_refused_by_name(tmp_path):
    import zlib

    chunk = png_chunk(b"iCCP", b"wide\0\0" + zlib.compress(wide_profile()))
    (tmp_path / "x.png").write_bytes(png_bytes(numbers(4, 5, 3, bits=16), chunk))
    for read in (read_header, read_image):
        with pytest.raises(ImageError, match="16 bits with the color profile 'wide' are not supported, convert it"):
            read(tmp_path / "x.png")


def test_bad_profile_in_a_png_is_quiet(tmp_path, capfd):
    import zlib

    chunk = png_chunk(b"iCCP", b"sRGB IEC61966-2.1\0\0" + zlib.compress(bytes(132)))
    (tmp_path / "x.png").write_bytes(png_bytes(COLORS, chunk))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), COLORS)
    assert capfd.readouterr() == ("", "")
