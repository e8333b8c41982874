import errno
from pathlib import Path

import numpy as np
import pytest

from traiNNer.data import demo
from traiNNer.data.demo import TRAIN, VAL, prepare_demo
from traiNNer.data.files.scan import scan_set
from traiNNer.errors import CannotWrite, DataError
from traiNNer.imaging.image_file import read_image
from traiNNer.utils.resize import imresize


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("work") / "datasets/demo"
    return root, prepare_demo(root)


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_summary_is_one_line(made):
    root, text = made
    assert text == f"Demo set: {len(TRAIN)} photos to train on and 2 to validate with, in {root}"
    assert len(content(root)) == 2 * (len(TRAIN) + len(VAL))
    assert sorted(path.name for path in root.iterdir()) == ["train", "val"]


@pytest.mark.parametrize("part", ["train", "val"])
def test_pairs_pass_the_scan_and_are_our_bicubic(made, part):
    root, _ = made
    found = scan_set(f"datasets.{part}", [root / part / "hr"], [root / part / "lr"], 2, 64, 200)
    found.raise_if_broken()
    assert found.notices == []
    for pair in found.pairs:
        assert pair.gt
        header = found.headers[pair.gt]
        assert 0.1e6 < header.width * header.height < 1e6
        assert header.width % 12 == header.height % 12 == 0
    pair = found.pairs[-1]
    np.testing.assert_array_equal(read_image(pair.lq), imresize(read_image(pair.gt), 0.5))


def test_every_photo_has_its_license():
    table = (demo.PHOTOS / "LICENSES.md").read_text(encoding="utf-8")
    shipped = {path.name for path in demo.PHOTOS.iterdir()} - {"LICENSES.md"}
    assert shipped == {*TRAIN, *VAL}
    assert [name for name in shipped if f"| `{name}` |" not in table] == []


def test_splits_share_no_photo(made):
    assert not set(TRAIN) & set(VAL)


def test_existing_files_are_kept_and_missing_ones_made(made, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "TRAIN", TRAIN[1:2])
    monkeypatch.setattr(demo, "VAL", VAL[1:])
    root = tmp_path / "demo"
    own = root / "train/hr/my photo.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"precious")
    (root / "mine").mkdir()
    prepare_demo(root)
    assert own.read_bytes() == b"precious"
    assert sorted(path.name for path in own.parent.iterdir()) == ["my photo.png"]
    assert sorted(p.relative_to(root).as_posix() for p in root.glob("*/*")) == [
        "train/hr",
        "train/lr",
        "val/hr",
        "val/lr",
    ]
    before = content(root)
    prepare_demo(root)
    assert content(root) == before
    assert sorted(path.name for path in root.iterdir()) == ["mine", "train", "val"]


def test_failure_leaves_no_partial_folder(tmp_path, monkeypatch):
    calls = []
    real = demo.write_image

    def failing(path, image):
        calls.append(path)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, image)

    monkeypatch.setattr(demo, "write_image", failing)
    with pytest.raises(CannotWrite, match=r"Cannot write the demo set to .*demo \(No space left on device\)"):
        prepare_demo(tmp_path / "demo")
    assert list((tmp_path / "demo").rglob("*")) == []


def test_unwritable_path(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="Not a directory"):
        prepare_demo(tmp_path / "file/demo")


def test_missing_photos_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "PHOTOS", tmp_path)
    with pytest.raises(DataError, match=r"coffee\.webp is missing: reinstall traiNNer"):
        prepare_demo(tmp_path / "demo")
