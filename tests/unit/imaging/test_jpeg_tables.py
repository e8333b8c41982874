"""Tables of JPEG files, against what Pillow wrote them with and reads of them."""

import io

import numpy as np
import pytest
from imagekit import photo
from PIL import Image

from traiNNer.imaging.jpeg_tables import LUMA, quality_of, read_tables, standard_steps


def encoded(**options):
    file = io.BytesIO()
    Image.fromarray(photo(size=(40, 56))).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 90, 95, 99, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_quality_of_a_file_is_exact(quality, progressive):
    content = encoded(quality=quality, progressive=progressive)
    tables = read_tables(content)
    assert tables.quality == quality
    assert tables.luma.reshape(-1).tolist() == list(Image.open(io.BytesIO(content)).quantization[0])
    assert np.array_equal(tables.luma, standard_steps(quality))


@pytest.mark.parametrize(("number", "name"), [(0, "444"), (1, "422"), (2, "420")])
def test_subsampling_of_a_file_is_exact(number, name):
    assert read_tables(encoded(subsampling=number)).subsampling == name


def test_gray_file_has_no_subsampling():
    file = io.BytesIO()
    Image.fromarray(photo(size=(40, 56))).convert("L").save(file, "JPEG", quality=60)
    tables = read_tables(file.getvalue())
    assert (tables.quality, tables.subsampling) == (60, None)


def test_table_of_another_encoder_has_the_nearest_quality():
    assert quality_of(np.maximum(standard_steps(70) + (np.arange(64).reshape(8, 8) % 3 - 1), 1)) == 70
    assert quality_of(LUMA) == 50


def test_other_and_damaged_files_have_no_tables():
    content = encoded(quality=75)
    start = b"\xff\xd8"
    for broken in (b"", b"\x89PNG", content[:2], content[:100], start + b"\0" * 4, start + b"\xff" * 50):
        assert read_tables(broken) is None
    start = content.index(b"\xff\xdb")
    assert read_tables(content[:start] + content[start + 2 + 67 :]) is None, "no luma table"
