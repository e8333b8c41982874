import pickle

import numpy as np
import pytest

pytest.importorskip("av")
from filmkit import TIMES, picture, write_film

from traiNNer.imaging.film import BT601, BT709, Film, is_film, matrix_of, open_film
from traiNNer.imaging.image_file import ImageError
from traiNNer.utils.pyav import PYAV


@pytest.mark.parametrize("group", [1, 5, 250])
def test_frames_are_the_same_in_any_order(tmp_path, group):
    write_film(tmp_path / "a.mp4", codec="libx264", sound=None, g=group, bf=2)
    one, other = Film(tmp_path / "a.mp4"), Film(tmp_path / "a.mp4")
    assert len(one) == len(TIMES)
    forward = [one.frame(number) for number in range(len(one))]
    for number in np.random.default_rng(0).permutation(len(one)):
        assert np.array_equal(other.frame(int(number)), forward[number])
    assert np.abs(forward[5].astype(int) - picture(5)).mean() < 8


def test_lossless_film_is_read_exactly_and_by_another_process(tmp_path):
    frames = write_film(tmp_path / "a.mkv")
    one = Film(tmp_path / "a.mkv")
    assert (one.header.width, one.header.height) == (64, 48)
    again = pickle.loads(pickle.dumps(one))
    for number in (7, 3, 4):
        assert np.array_equal(again.frame(number), frames[number])


def test_turned_film_is_seen_upright(tmp_path):
    """A telephone writes a landscape picture and a matrix that turns it."""
    write_film(tmp_path / "a.mov", codec="libx264", sound=None)
    before = Film(tmp_path / "a.mov").frame(3)
    content = (tmp_path / "a.mov").read_bytes()
    unit, zero, minus = (number.to_bytes(4, "big", signed=True) for number in (65536, 0, -65536))
    place = content.index(b"tkhd") + 44
    assert content[place : place + 16] == unit + zero + zero + zero
    turn = unit.join([zero, b""]) + zero + minus  # a, b, u, c of a quarter clockwise
    (tmp_path / "b.mov").write_bytes(content[:place] + turn + zero + zero + content[place + 24 :])
    assert np.array_equal(Film(tmp_path / "b.mov").frame(3), np.rot90(before, -1))


def test_matrix_is_that_of_the_film_else_of_its_size():
    assert matrix_of(1, 480) == matrix_of(2, 720) == BT709
    assert matrix_of(5, 1080) == matrix_of(6, 1080) == matrix_of(2, 719) == BT601


def test_what_is_no_film_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.mkv").write_bytes(b"nothing")
    for path, words in ((tmp_path / "a.mkv", "not a readable film"), (tmp_path / "gone.mkv", "no such file")):
        with pytest.raises(ImageError, match=words):
            open_film(path)
    write_film(tmp_path / "b.mkv", sound=None)
    with pytest.raises(ImageError, match="larger than max_pixels"):
        Film(tmp_path / "b.mkv", 0.001)
    assert is_film("A.MKV")
    assert not is_film("a.png")
    assert "pip install av" in PYAV.install
