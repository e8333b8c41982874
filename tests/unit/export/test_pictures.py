import numpy as np
from imagekit import numbers
from reportkit import event, write

from traiNNer.export.pictures import GAP, beside, write_examples
from traiNNer.imaging.image_file import read_image, write_image
from traiNNer.report.record import read_record


def example(name):
    files = {part: f"examples/{name}_{part}.png" for part in ("bicubic", "output", "gt")}
    return {"set": "set", "key": name, "rank": "worst", "metric": "psnr", "files": files}


def test_parts_stand_side_by_side(tmp_path):
    run = write(tmp_path / "run", event("examples", 4, images=[example("good"), example("odd"), example("damaged")]))
    parts = [numbers(6, 5, 3, seed=seed) for seed in range(3)]
    for part, image in zip(("bicubic", "output", "gt"), parts, strict=True):
        write_image(run / "examples" / f"good_{part}.png", image)
        write_image(run / "examples" / f"odd_{part}.png", image[: 4 if part == "gt" else 6])
        (run / "examples" / f"damaged_{part}.png").write_bytes(b"damaged")
    found = write_examples(read_record(run), tmp_path / "release")
    assert found == [("worst of set by psnr: good", "images/01.png")]
    picture = read_image(tmp_path / "release" / "images" / "01.png")
    assert np.array_equal(picture, beside(parts))


def test_white_lies_between():
    picture = beside([np.zeros((2, 3, 3), np.uint8)] * 2)
    assert picture.shape == (2, 6 + GAP, 3)
    assert picture[:, 3 : 3 + GAP].min() == 255
    assert picture[:, 3 + GAP :].max() == 0
