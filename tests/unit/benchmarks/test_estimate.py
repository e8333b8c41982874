"""The table of estimates is counted rightly, and runs on demo photos."""

import cv2
import pytest
from imagekit import photo, write_png

from benchmarks import estimate
from benchmarks.estimate import Row, jpeg, measure, resaved


def test_row_counts_what_is_within_15_percent_and_missed_as_wrong():
    row = Row()
    for found in (10.0, 11.4, 8.6, 12.0, None):
        row.add(10.0, found)
    assert row.good == pytest.approx(3 / 5)
    assert row.line("noise").startswith("| noise | 60 % | 93 % | 1.07 (")
    assert Row(ratios=[2.0, 1.0]).good_of_ten < 0.5
    assert Row(missed=1).good_of_ten == 0
    assert row.line("noise").endswith("| 1 of 5 |")
    names = Row(is_name=True)
    names.add("420", "420")
    names.add("420", "444")
    assert names.good == 0.5


def test_planted_jpeg_is_decoded_as_the_reader_does(tmp_path):
    image = photo(size=(64, 64))
    content = jpeg(image, 70, "422")
    (tmp_path / "x.jpg").write_bytes(content)
    assert (resaved(content) == cv2.imread(str(tmp_path / "x.jpg"))[..., ::-1]).all()


def test_every_case_runs_on_photos(tmp_path, monkeypatch):
    write_png(tmp_path / "x.png", photo("coffee.png", (208, 208)))
    rows = measure([tmp_path / "x.png"])
    assert set(estimate.CASES) < set(rows)
    assert all(len(row.ratios) + row.missed == 1 for row in rows.values())
    assert rows["JPEG quality 5 to 99, the file"].good == 1
