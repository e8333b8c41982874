import cv2
import numpy as np
import pytest

from traiNNer.utils.clips import cuts, distance, miniature, window, within_scene


def scene(seed):
    """A large picture with coarse structure."""
    noise = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.float32)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def pan(seed, frames, speed=4):
    return [scene(seed)[10 : 10 + 120, speed * t : speed * t + 160] for t in range(frames)]


def small(frames):
    return [miniature(frame) for frame in frames]


def test_window_repeats_the_frames_at_the_ends():
    assert window(0, 5, 9) == [0, 0, 0, 1, 2]
    assert window(4, 5, 9) == [2, 3, 4, 5, 6]
    assert window(8, 3, 9) == [7, 8, 8]
    assert window(0, 3, 1) == [0, 0, 0]
    assert window(3, 1, 9) == [3]


def test_distance_is_that_of_correlation():
    one, other = (miniature(scene(seed)) for seed in (0, 1))
    expected = 1 - np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert distance(one, other) == pytest.approx(expected, abs=0.01)
    assert distance(one, one) == pytest.approx(0, abs=1e-6)
    black = np.zeros((32, 32), np.float32)
    assert distance(black, black) == 0
    assert distance(black, one) > 0.8
    assert distance(one, 0.5 * one + 40) < 0.01  # a change of exposure


def test_sixteen_bits_are_compared_alike():
    assert np.abs(miniature(scene(0).astype(np.uint16) * 257) - miniature(scene(0))).max() < 0.6


@pytest.mark.parametrize("speed", [0, 1, 4])
def test_cut_is_found_and_motion_is_none(speed):
    frames = pan(0, 5, speed) + pan(1, 5, speed)
    assert [place for place, found in enumerate(cuts(small(frames))) if found] == [4]
    assert not any(cuts(small(pan(0, 12, 12))))


def test_flash_is_no_cut():
    frames = pan(0, 7)
    frames[3] = scene(5)[:120, :160]
    assert not any(cuts(small(frames)))


def test_window_ends_at_a_cut():
    frames = small(pan(0, 5) + pan(1, 5))
    for middle, expected in ((3, [1, 2, 3, 4, 4]), (4, [2, 3, 4, 4, 4]), (5, [5, 5, 5, 6, 7]), (6, [5, 5, 6, 7, 8])):
        places = window(middle, 5, 10)
        assert within_scene(places, [frames[place] for place in places]) == expected
    assert within_scene([0, 0, 0, 1, 2], frames[:1] * 3 + frames[1:3]) == [0, 0, 0, 1, 2]
    assert within_scene([7], frames[7:8]) == [7]
    assert within_scene([0, 0, 0], frames[:1] * 3) == [0, 0, 0]
