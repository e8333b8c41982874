"""`trainner estimate` on folders."""

import cv2
import numpy as np
import pytest
import yaml
from imagekit import photo, write_png

from traiNNer.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write JPEGs of quality 40 to 60 to `lq`, and change to the folder above."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lq").mkdir()
    for number, quality in enumerate((40, 50, 60)):
        image = photo("coffee.png", (160, 160), 30 * number)
        cv2.imwrite(str(tmp_path / f"lq/{number}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return tmp_path


def estimate(capsys, *arguments):
    code = main(["estimate", "--lq", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_recipe_is_printed_and_written(folder, capsys):
    code, out, err = estimate(capsys, "lq", "-o", "recipe.yml")
    assert (code, err.strip()) == (0, "")
    assert "3 of 3 images in lq" in out
    assert "JPEG: in 3 of 3, of quality 41 to 59, median 50" in out
    written = (folder / "recipe.yml").read_text()
    assert written.strip() in out
    (jpeg,) = [step for step in yaml.safe_load(written)["degradations"] if step["type"] == "jpeg"]
    assert jpeg == {"type": "jpeg", "quality": [41, 59], "subsampling": ["420"]}


def test_some_images_stand_for_many_and_those_left_out_are_named(folder, capsys):
    write_png(folder / "lq/tiny.png", photo(size=(20, 20)))
    assert "left out: " in (out := estimate(capsys, "lq")[1])
    assert "tiny.png (smaller than 96 pixels)" in out
    assert "1 of 4 images in lq" in estimate(capsys, "lq", "--most", 1)[1]


def test_clean_images_get_no_recipe(tmp_path, capsys):
    write_png(tmp_path / "lq/cat.png", photo("chelsea.png", (288, 384)))
    code, out, _ = estimate(capsys, tmp_path / "lq", "-o", tmp_path / "recipe.yml")
    assert code == 0
    assert "Nothing was done to these images that can be seen" in out
    assert "degradations:" not in out
    assert not (tmp_path / "recipe.yml").exists()


def test_folders_and_files_that_cannot_be_used_are_refused(folder, capsys):
    assert "--lq: no such folder nowhere" in (refused := estimate(capsys, "nowhere"))[2]
    assert refused[0] == 3
    (folder / "empty").mkdir()
    assert "--lq has no images in empty" in estimate(capsys, "empty")[2]
    (folder / "bad").mkdir()
    (folder / "bad/x.png").write_bytes(b"no image")
    assert "no image in bad can be used" in estimate(capsys, "bad")[2]
    (folder / "there.yml").write_text("mine")
    code, _, err = estimate(capsys, "lq", "-o", "there.yml")
    assert code == 7
    assert "there.yml exists already" in err
    assert (folder / "there.yml").read_text() == "mine"
    assert estimate(capsys, "lq", "--most", 0)[::2] == (2, "--most must be 1 or more.\n")


def test_estimates_do_not_depend_on_the_order_of_reading(folder, capsys):
    assert estimate(capsys, "lq")[1] == estimate(capsys, "lq")[1]
    assert np.all([path.suffix == ".jpg" for path in (folder / "lq").iterdir()]), "nothing is written there"
