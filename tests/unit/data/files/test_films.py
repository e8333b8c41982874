import numpy as np
import pytest

pytest.importorskip("av")
from filmkit import picture, write_film

from traiNNer.data.datasets.paired_videos import PairedVideoDataset
from traiNNer.data.datasets.single_videos import SingleVideoDataset
from traiNNer.data.files.films import has_films, list_films, scan_films
from traiNNer.data.files.options import FileOptions
from traiNNer.errors import DataError


def film(path, count=3, size=(48, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [picture(number, size) for number in range(count)]
    return write_film(path, frames, tuple(40 * number for number in range(count)), sound=None)


def test_films_are_found_by_name(tmp_path):
    for name in ("b10.mkv", "b9.mp4", "sub/a.mkv"):
        film(tmp_path / name) if name.endswith("mkv") else (tmp_path / name).write_bytes(b"")
    assert list(list_films(tmp_path)) == ["b9", "b10", "sub/a"]
    assert list(list_films(tmp_path / "b10.mkv")) == ["b10"]
    assert has_films([tmp_path / "sub"])
    assert not has_films([tmp_path / "none"])


def test_what_does_not_fit_is_told(tmp_path):
    film(tmp_path / "hr/good.mkv"), film(tmp_path / "lr/good.mkv", size=(24, 32))
    film(tmp_path / "hr/short.mkv"), film(tmp_path / "lr/short.mkv", 2, (24, 32))
    film(tmp_path / "hr/small.mkv", size=(32, 32)), film(tmp_path / "lr/small.mkv", size=(24, 32))
    film(tmp_path / "hr/alone.mkv"), film(tmp_path / "lr/other.mkv", size=(24, 32))
    (tmp_path / "hr/broken.mkv").write_bytes(b"no film")
    film(tmp_path / "lr/broken.mkv", size=(24, 32))
    scan, films = scan_films("datasets.train", [tmp_path / "hr"], [tmp_path / "lr"], 2, 8, 200)
    assert [pair.key for pair in scan.pairs] == ["good/00000000", "good/00000001", "good/00000002"]
    assert tmp_path / "lr/good.mkv" in films
    told = {kind: " ".join(texts) for kind, texts in scan.problems.items()}
    assert "3 frames and" in told["films of different lengths"]
    assert "32x32" in told["films do not fit scale 2"]
    assert "alone.mkv" in told["films without a partner in dataroot_lq"]
    assert "other.mkv" in told["films without a partner in dataroot_gt"]
    assert "not a readable film" in told["unreadable films"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"datasets\.train\.dataroot_gt: .*empty has no films"):
        scan_films("datasets.train", [tmp_path / "empty"], [tmp_path / "lr"], 2, 8, 200)


def test_frames_of_films_are_samples(tmp_path):
    frames, small = film(tmp_path / "hr/a.mkv"), film(tmp_path / "lr/a.mkv", size=(24, 32))
    one = PairedVideoDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"), 3, FileOptions(lq_size=8))
    one.open("val", "datasets.val")
    sample = one.whole(1)
    assert np.array_equal(sample.lq, np.stack(small))
    assert np.array_equal(sample.gt, frames[1])
    assert (one.paired_files(), one.originals()) == ({}, [])
    assert one.describe(2) == f"frame 2 of {tmp_path}/lr/a.mkv"
    before = one.fingerprint()
    film(tmp_path / "lr/a.mkv", 3, (24, 34))
    assert one.fingerprint() != before
    alone = SingleVideoDataset(2, str(tmp_path / "hr"), 3, FileOptions(lq_size=8))
    alone.open("train", "datasets.train")
    assert alone.sample(0, np.random.default_rng(0)).lq.shape == (3, 8, 8, 3)
