"""The picture of the degradations shows each of them."""

import cv2

from benchmarks.degradation_pictures import SHOWN, main
from traiNNer.registry import DEGRADATIONS


def test_every_kind_is_shown_and_the_picture_is_written(tmp_path, capsys):
    assert {name for name, _ in SHOWN.values()} == set(DEGRADATIONS.names())
    main(["--output", str(tmp_path / "made.jpg")])
    assert "written: " in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / "made.jpg"))
    assert picture is not None
    assert picture.shape[1] > picture.shape[0]
