import math

import cv2
import numpy as np
import pytest

from traiNNer.metrics.temporal import TemporalPSNR, WarpedDifference, warped

SHIFT = (2, 3)  # rows and columns per frame


def scene(side=96, seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (side // 4, side // 4, 3)).astype(np.float32)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC).clip(20, 230).round().astype(np.uint8)


def film(frames=2):
    """A camera that moves over a scene by whole pixels."""
    large = scene(128)
    return [large[SHIFT[0] * t :][:96, SHIFT[1] * t : SHIFT[1] * t + 96] for t in range(frames)]


def test_tpsnr_is_the_psnr_of_differences():
    (before, now), random = film(), np.random.default_rng(1)
    made = [np.clip(frame + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for frame in (before, now)]
    error = (made[1].astype(float) - made[0]) - (now.astype(float) - before)
    expected = 10 * math.log10(255**2 / np.mean(error[2:-2, 2:-2] ** 2))
    assert TemporalPSNR(2, test_y_channel=False)(made[1], now, made[0], before) == pytest.approx(expected, abs=1e-9)


def test_tpsnr_counts_flicker_but_no_constant_error():
    before, now = film()
    metric = TemporalPSNR(2, test_y_channel=False)
    assert metric(now + 7, now, before + 7, before) == math.inf
    flicker = metric(now + 7, now, before - 7, before)
    assert flicker == pytest.approx(20 * math.log10(255 / 14))
    assert metric(now + 3, now, before - 3, before) > flicker


def test_flow_undoes_a_known_shift():
    before, now = film()
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (now, before)]
    moved, is_seen = warped(before, *gray)
    assert is_seen.mean() > 0.85
    assert not is_seen[-1].any()  # beyond the border of the frame before
    assert np.abs(moved - now)[is_seen].mean() < 2 < np.abs(before.astype(float) - now).mean()


@pytest.mark.parametrize("with_target", [True, False])
def test_warped_difference_is_that_of_flicker(with_target):
    before, now = film()
    targets = (now, before) if with_target else (None, None)
    metric = WarpedDifference(2)
    steady, flicker = metric(now, before, *targets), metric(now + 12, before, *targets)
    assert steady < 2
    assert flicker == pytest.approx(12, abs=1.0)


def test_error_that_stays_on_the_screen_is_found():
    before, now = film()
    dirt = (8 * np.sign(np.random.default_rng(2).normal(size=(96, 96, 1)))).astype(int)
    moving = np.roll(dirt, (-SHIFT[0], -SHIFT[1]), axis=(0, 1))
    spoiled = [(frame + one).astype(np.uint8) for frame, one in ((now, dirt), (before, dirt), (now, moving))]
    metric = WarpedDifference(2)
    on_screen, on_scene = metric(spoiled[0], spoiled[1], now, before), metric(spoiled[2], spoiled[1], now, before)
    assert on_screen > 3 * on_scene


def test_images_that_cannot_be_compared_are_refused():
    small = np.zeros((18, 40, 3), np.uint8)
    with pytest.raises(ValueError, match="a side of 16 pixels inside crop_border, not 36x14"):
        WarpedDifference(2)(small, small)
    with pytest.raises(ValueError, match="ground truth"):
        TemporalPSNR(2)(small, None, small, None)
