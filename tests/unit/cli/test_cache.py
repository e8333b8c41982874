from pathlib import Path

import numpy as np
import pytest

from traiNNer.cli.main import main
from traiNNer.data.cache.places import describe, store_folder
from traiNNer.data.cache.records import Stamp, key_of
from traiNNer.data.cache.store import Store


def keep(base: Path, root: Path, count: int) -> Path:
    folder = store_folder(base, root)
    describe(folder, root)
    for place in range(count):
        Store(folder).add(key_of(f"{place}"), Stamp(1, 1), np.full((100, 200, 3), place, np.uint8))
    return folder


@pytest.fixture
def stores(own_cache):
    base = own_cache / "trainner/images"
    return [keep(base, Path("/photos/hr"), 3), keep(base, Path("/photos/lr"), 2)]


def test_kept_images_are_listed(stores, capsys):
    assert main(["cache"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert sorted(line.split("GB")[1] for line in said[:2]) == [
        "         2 images  used today  /photos/lr",
        "         3 images  used today  /photos/hr",
    ]
    assert said[2].startswith("2 folders of images, 0.00 GB kept in ")


def test_one_folder_or_all_are_cleared(stores, capsys):
    assert main(["cache", "--clear", "/photos/hr"]) == 0
    assert [folder.exists() for folder in stores] == [False, True]
    assert main(["cache", "--clear"]) == 0
    assert [folder.exists() for folder in stores] == [False, False]
    capsys.readouterr()
    main(["cache"])
    assert capsys.readouterr().out.startswith("0 folders of images, 0.00 GB kept in ")


def test_unknown_folder_is_refused_and_nothing_is_cleared(stores, capsys):
    assert main(["cache", "--clear", "/photos/hr", "/photos/x"]) == 2
    assert "of /photos/x. `trainner cache` lists all." in capsys.readouterr().err
    assert all(folder.exists() for folder in stores)


def test_another_place_is_listed(tmp_path, stores, capsys):
    keep(tmp_path, Path("/else"), 1)
    main(["cache", "--folder", str(tmp_path)])
    assert "/else" in capsys.readouterr().out
