"""The unsharp mask against its steps in OpenCV."""

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from traiNNer.degradations.draws import Draws
from traiNNer.degradations.sharpen import Usm

PHOTO = (astronaut()[:90, 150:270] / 255).astype(np.float32)


def test_detail_is_added_where_there_is_some():
    size, border = (11, 11), cv2.BORDER_REPLICATE
    detail = PHOTO - cv2.GaussianBlur(PHOTO, size, 0, borderType=border)
    mask = cv2.GaussianBlur((np.abs(detail) * 255 > 10).astype(np.float32), size, 0, borderType=border)
    wanted = mask * np.clip(PHOTO + 0.7 * detail, 0, 1) + (1 - mask) * PHOTO
    made = Usm(radius=(5, 5), amount=(0.7, 0.7))(torch.from_numpy(PHOTO).permute(2, 0, 1)[None], Draws([1], "usm"))
    assert np.allclose(made[0].permute(1, 2, 0).numpy(), wanted, atol=1e-4)
    assert np.abs(wanted - PHOTO).max() > 0.05


def test_parameters_have_their_laws():
    Usm(radius=(1, 9), amount=(0.2, 0.8))(torch.zeros(10_000, 1, 1, 1), Draws(np.arange(10_000), "u", notes := {}))
    drawn = dict(notes["u"])
    assert (drawn["radius"].mean(), drawn["amount"].mean()) == (pytest.approx(5, abs=0.1), pytest.approx(0.5, abs=0.01))
    assert drawn["radius"].min() >= 1
    assert drawn["amount"].max() < 0.8


@pytest.mark.parametrize("options", [{"radius": (0.0, 1.0)}, {"amount": (2.0, 1.0)}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Usm(**options)
