"""Images are identified by content, not by path or time."""

import numpy as np
import pytest
from imagekit import numbers, write_png

from traiNNer.data.files import fingerprint as module
from traiNNer.data.files.fingerprint import SAMPLE_BYTES, fingerprint
from traiNNer.imaging.headers import Header

HEADER = Header(100, 100, 3, 8)


def files(folder, count, length=40_000):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:04}.bmp" for index in range(count)]
    for index, path in enumerate(paths):
        path.write_bytes(np.random.default_rng(index).bytes(length))
    return paths


def of(paths, headers=HEADER):
    return fingerprint([(path.stem, [path]) for path in paths], dict.fromkeys(paths, headers))


def overwrite(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_same_images_at_another_path_are_the_same(tmp_path):
    assert of(files(tmp_path / "a", 3)) == of(files(tmp_path / "b", 3))


@pytest.mark.parametrize("place", [0, SAMPLE_BYTES - 1, 20_000, 20_000 + SAMPLE_BYTES - 1, 40_000 - SAMPLE_BYTES, -1])
def test_changed_content_of_equal_length_is_detected(tmp_path, place):
    paths = files(tmp_path, 3)
    before = of(paths)
    overwrite(paths[1], place)
    after = of(paths)
    assert {key for key in before if before[key] != after[key]} == {"content"}


def test_changed_length_is_detected_in_every_file(tmp_path):
    paths = files(tmp_path, 200, 10)
    before = of(paths)
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content + b"1")
        assert of(paths)["sha256"] != before["sha256"]
        path.write_bytes(content)
    assert of(paths) == before


def test_changed_size_or_name_is_detected(tmp_path):
    paths = files(tmp_path, 2)
    assert of(paths)["sha256"] != of(paths, Header(200, 50, 3, 8))["sha256"]
    renamed = [paths[0], paths[1].rename(tmp_path / "x.bmp")]
    assert (
        of(renamed)["sha256"]
        != fingerprint([("0000", paths[:1]), ("0001", renamed[1:])], dict.fromkeys(renamed, HEADER))["sha256"]
    )


def test_every_file_of_a_pair_is_sampled(tmp_path):
    lq, gt = files(tmp_path, 2)
    headers = dict.fromkeys((lq, gt), HEADER)
    before = fingerprint([("key", [lq, gt])], headers)
    for path in (lq, gt):
        overwrite(path, 5)
        assert fingerprint([("key", [lq, gt])], headers)["content"] != before["content"]
        overwrite(path, 5)


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (63, 63), (64, 64), (65, 64), (1000, 64)])
def test_number_of_read_files_is_bounded(tmp_path, monkeypatch, count, expected):
    paths = files(tmp_path, count, 10)
    read = []
    monkeypatch.setattr(module, "_sample", lambda path: read.append(path) or b"")
    of(paths)
    assert len(set(read)) == len(read) == expected
    assert read[0] == paths[0]
    assert paths.index(read[-1]) >= count - 1 - count // 64


def test_png_of_equal_name_and_size_is_a_different_image(tmp_path):
    path = tmp_path / "a.png"
    write_png(path, numbers(16, 16, 3))
    before = of([path])
    write_png(path, 255 - numbers(16, 16, 3))
    assert of([path]) != before
