"""The benchmark of degradations runs and compares."""

import numpy as np
import torch
from skimage.data import astronaut

from benchmarks.degradations import by_large_matrices, main, photos, searched_poisson
from traiNNer.degradations.jpeg import by_libjpeg
from traiNNer.registry import DEGRADATIONS


def test_all_ways_are_measured(capsys):
    main(["--quick"])
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()] == ["ours", "lean", "redux"]
    main(["--quick", "--kinds"])
    said = capsys.readouterr().out
    assert [name for name in DEGRADATIONS.names() if f"| `{name}` | " not in said] == []


def test_the_usual_ways_do_what_they_are_compared_for():
    image = torch.from_numpy(astronaut()[40:104, 150:214]).permute(2, 0, 1)[None] / 255
    close = (by_large_matrices(image, 60) - by_libjpeg(image, 60, "420")).abs().mean()
    assert close < (by_libjpeg(image, 60, "420") - image).abs().mean()
    noise = searched_poisson(image, is_gray=False)
    assert 0.2 < (noise.std() / (image / 256).sqrt().mean()).item() < 5
    gray = searched_poisson(image, is_gray=True)
    assert np.allclose(gray[:, 0], gray[:, 2])
    assert torch.equal(photos(1, 64), photos(1, 64))
