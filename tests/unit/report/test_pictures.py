import base64
import re

import cv2
import numpy as np
from reportkit import event, write

from traiNNer.imaging.image_file import write_image
from traiNNer.report import pictures
from traiNNer.report.pictures import error_map, examples
from traiNNer.report.record import read_record


def image(value):
    return np.full((8, 8, 3), value, np.uint8)


def recorded(folder, count=1):
    shown = []
    for number in range(count):
        files = {part: f"examples/{number}_{part}.png" for part in ("bicubic", "output", "gt")}
        for value, file in zip((100, 110, 120), files.values(), strict=True):
            write_image(folder / file, image(value))
        about = {"set": "set", "key": "<baby>", "rank": "worst", "metric": "psnr", "score": 31.0, "bicubic": 30.5}
        shown.append(about | {"files": files})
    return read_record(write(folder, event("examples", 4, images=shown)))


def test_example_holds_its_images_and_says_what_it_is(tmp_path):
    (figure,) = examples(recorded(tmp_path))
    assert "worst of set by psnr: &lt;baby&gt; (31.00, bicubic 30.50)" in figure
    assert 'type="range"' in figure
    found = re.findall(r"base64,([^\"]+)", figure)
    output, bicubic, _, _, target = (cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), 1) for one in found)
    assert [int(one.mean()) for one in (output, bicubic, target)] == [110, 100, 120]


def test_example_whose_files_are_gone_is_left_out(tmp_path):
    record = recorded(tmp_path, 2)
    (tmp_path / "examples/0_gt.png").unlink()
    assert len(list(examples(record))) == 1


def test_images_are_bounded_in_bytes(tmp_path, monkeypatch):
    record = recorded(tmp_path, 3)
    size = sum(file.stat().st_size for file in (tmp_path / "examples").glob("0_*"))
    monkeypatch.setattr(pictures, "MOST_BYTES", 2 * size)
    assert len(list(examples(record))) == 2


def test_error_map_is_dark_without_and_bright_with_error():
    target = image(100)
    wrong = target.copy()
    wrong[:4, :, 1] = 200
    shown = cv2.imdecode(np.frombuffer(error_map(wrong, target), np.uint8), 1).mean(axis=2)
    assert shown[4:].max() < 10
    assert shown[:4].min() > 150
