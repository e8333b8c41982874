from collections import Counter

import numpy as np
import pytest

from traiNNer.data.transforms import bicubic_error, copy_turned, random_place, random_turn
from traiNNer.utils.resize import imresize


def pair(height, width, scale):
    """Return an LQ image of distinct numbers, and its GT: each pixel repeated scale x scale times."""
    lq = np.arange(height * width).reshape(height, width, 1).repeat(3, 2).astype(np.uint16)
    return lq, lq.repeat(scale, 0).repeat(scale, 1)


def random_crop(lq, gt, size, scale, rng):
    """Return the same random square of both."""
    top, left = random_place(*lq.shape[:2], size, rng)
    return crop(lq, top, left, size), crop(gt, top * scale, left * scale, size * scale)


def crop(image, top, left, size):
    return image[top : top + size, left : left + size]


def positions(size=3):
    """Return the eight positions of a square, by definition: four turns, each plain or mirrored."""
    square = np.arange(size * size).reshape(size, size)
    turned = [np.rot90(square, quarters) for quarters in range(4)]
    return [p.tobytes() for p in turned], [np.ascontiguousarray(p[:, ::-1]).tobytes() for p in turned]


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_crop_and_flip_keep_the_pair_aligned(scale):
    rng = np.random.default_rng(0)
    lq, gt = pair(9, 7, scale)
    for _ in range(200):
        small, large = random_crop(lq, gt, 4, scale, rng)
        assert small.shape == (4, 4, 3)
        small, large = random_turn(small, large, True, True, rng)
        np.testing.assert_array_equal(small.repeat(scale, 0).repeat(scale, 1), large)
        assert np.shares_memory(small, lq)
        assert np.shares_memory(large, gt)


def test_every_crop_position_is_equally_likely():
    rng = np.random.default_rng(0)
    lq, gt = pair(5, 4, 2)
    places = Counter(int(random_crop(lq, gt, 3, 2, rng)[0][0, 0, 0]) for _ in range(6000))
    assert sorted(places) == [0, 1, 4, 5, 8, 9]
    assert all(abs(count - 1000) < 150 for count in places.values())


def test_crop_of_the_whole_image_is_the_image():
    lq, gt = pair(4, 4, 2)
    small, large = random_crop(lq, gt, 4, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(small, lq)
    np.testing.assert_array_equal(large, gt)


@pytest.mark.parametrize(
    ("use_hflip", "use_rot", "count"), [(False, False, 1), (True, False, 2), (False, True, 4), (True, True, 8)]
)
def test_positions(use_hflip, use_rot, count):
    rng = np.random.default_rng(0)
    square = np.arange(9).reshape(3, 3, 1)
    found = Counter(random_turn(square, square, use_hflip, use_rot, rng)[0].tobytes() for _ in range(1000 * count))
    plain, mirrored = positions()
    expected = {
        (False, False): plain[:1],
        (True, False): [plain[0], mirrored[0]],
        (False, True): plain,
        (True, True): plain + mirrored,
    }[use_hflip, use_rot]
    assert set(found) == set(expected)
    assert all(abs(number - 1000) < 150 for number in found.values())


def test_disabling_one_does_not_change_the_others_draws():
    square = np.arange(9).reshape(3, 3, 1)
    for seed in range(50):
        results = {
            (flip, rot): random_turn(square, square, flip, rot, np.random.default_rng(seed))[0]
            for flip in (False, True)
            for rot in (False, True)
        }
        mirrored = not np.array_equal(results[True, False], results[False, False])
        turned = results[False, True]
        both = random_turn(square[:, ::-1] if mirrored else square, square, False, True, np.random.default_rng(seed))[0]
        np.testing.assert_array_equal(results[True, True], both)
        assert any(np.array_equal(turned, np.rot90(square, k)) for k in range(4))


def test_input_is_not_touched():
    lq, gt = pair(6, 6, 2)
    before = lq.copy(), gt.copy()
    small, large = random_turn(
        *random_crop(lq, gt, 4, 2, np.random.default_rng(0)), True, True, np.random.default_rng(1)
    )
    np.testing.assert_array_equal(lq, before[0])
    np.testing.assert_array_equal(gt, before[1])
    assert (small.dtype, large.dtype) == (np.uint16, np.uint16)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_bicubic_error_is_that_of_our_bicubic(scale, kind):
    random = np.random.default_rng(scale)
    lq, gt = (random.integers(0, np.iinfo(kind).max + 1, (16 * s, 12 * s, 3), kind) for s in (1, scale))
    white = np.iinfo(kind).max
    expected = np.abs(imresize(lq / white, float(scale)) - gt / white).mean()
    assert bicubic_error(lq, gt, scale) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("sides", [(6, 6), (5, 9)])
def test_turned_view_is_copied_as_it_is(kind, channels, mirrored, quarters, sides):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, channels)).astype(kind)
    image.flags.writeable = False  # as what is kept on the disk
    view = image[3 : 3 + sides[0], 4 : 4 + sides[1]]
    view = np.rot90(view[:, ::-1] if mirrored else view, quarters)
    batch = np.zeros((3, *view.shape), kind)
    copy_turned(view, batch[1])
    np.testing.assert_array_equal(batch[1], view)
    assert not batch[[0, 2]].any()


def test_clips_and_other_types_are_copied_plainly():
    clip = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)[:, ::-1]
    copied = np.zeros(clip.shape, np.uint16)
    copy_turned(clip, copied)
    np.testing.assert_array_equal(copied, clip)
    deep = np.zeros((4, 5, 3), np.uint16)
    copy_turned(clip[0], deep)
    np.testing.assert_array_equal(deep, clip[0])
