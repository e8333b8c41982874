import numpy as np
import pytest
import torch

pytest.importorskip("av")
from filmkit import picture

from traiNNer.degradations import video
from traiNNer.degradations.draws import Draws
from traiNNer.degradations.recipe import Degrader, Recipe, Step
from traiNNer.degradations.video import VideoCodec, filmed
from traiNNer.traits import Requirement

CLIP = np.stack([picture(number, (33, 46)) for number in range(4)])


def error(made, clip=CLIP):
    return float(np.abs(made.astype(int) - clip).mean())


def test_higher_crf_is_worse():
    errors = [error(filmed(CLIP, crf, "veryfast")) for crf in (5, 25, 45)]
    assert errors == sorted(errors)
    assert errors[2] > 1.5 * errors[0]


def test_it_is_a_function_of_clip_and_seed():
    degrader = Degrader(Recipe([Step("videocodec", VideoCodec())]))
    made = [degrader.lq(CLIP, seed, (33, 46), (3, 4, 5, 6)) for seed in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert made[0].shape == CLIP.shape
    image = degrader.lq(CLIP[0], 1, (33, 46))
    assert image.shape == CLIP[0].shape


def test_frames_of_a_clip_are_one_film_and_images_films_of_one():
    images = torch.from_numpy(CLIP).permute(0, 3, 1, 2).float() / 255
    one = VideoCodec((30, 30), ("medium",))
    together = one(images, Draws([7] * 4, frames=range(4)))
    expected = torch.from_numpy(filmed(CLIP, 30, "medium")).permute(0, 3, 1, 2) / 255
    assert torch.equal(together, expected)
    alone = one(images, Draws([7, 7, 8, 9]))
    for place in range(4):
        single = torch.from_numpy(filmed(CLIP[place : place + 1], 30, "medium")).permute(0, 3, 1, 2) / 255
        assert torch.equal(alone[place : place + 1], single)


def test_wrong_options_and_missing_pyav_are_told(monkeypatch):
    with pytest.raises(ValueError, match="no such preset 'quick'"):
        VideoCodec(presets=("quick",))
    with pytest.raises(ValueError, match="crf must be"):
        VideoCodec((30, 20))
    monkeypatch.setattr(video, "PYAV", Requirement("no_such_module", video.PYAV.install))
    with pytest.raises(ValueError, match=r"videocodec needs the package no-such-module.*pip install av"):
        VideoCodec()
