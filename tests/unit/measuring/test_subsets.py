"""Subsets that represent a whole dataset."""

import numpy as np
import pytest

from traiNNer.batch import ImageSet, Sample
from traiNNer.measuring.subsets import Few, Warm, lq_of

RNG = np.random.default_rng(0)


class Whole(ImageSet):
    """Ten 2x images of increasing height; each pixel encodes its row and column."""

    crop_size = 4

    def __init__(self, has_gt: bool = True) -> None:
        self.has_gt = has_gt
        self.read: list[int] = []

    def __len__(self):
        return 10

    def whole(self, index):
        self.read.append(index)
        gt = np.indices((2 * (8 + index), 24)).transpose(1, 2, 0)[:, :, [0, 1, 1]].astype(np.uint8)
        return Sample(gt[::2, ::2], gt if self.has_gt else None, f"{index}")

    def sample(self, index, rng):
        return Sample(None, None, f"crop {index} {rng.integers(10**9)}")

    def fingerprint(self):
        return {"count": 10}


@pytest.mark.parametrize(("count", "places"), [(1, [0]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (50, [*range(10)])])
def test_few_are_evenly_chosen(count, places):
    few = Few(Whole(), count, 2)
    assert [few.whole(index).key for index in range(len(few))] == [str(place) for place in places]
    assert few.fingerprint() == {"count": len(places)}


def test_centers_are_the_same_region_in_both_images():
    whole = Whole().whole(0)
    part = Few(Whole(), 2, 2, side=4).whole(0)
    assert np.array_equal(part.lq, whole.lq[2:6, 4:8])
    assert np.array_equal(part.gt, whole.gt[4:12, 8:16])
    assert part.lq.flags.c_contiguous
    assert part.gt.flags.c_contiguous
    assert part.key == "0"


def test_image_smaller_than_the_crop_is_whole():
    part = Few(Whole(), 1, 2, side=10).whole(0)
    assert (part.lq.shape, part.gt.shape) == ((8, 10, 3), (16, 20, 3))


def test_without_ground_truth_there_is_none():
    few = Few(Whole(has_gt=False), 2, 2, side=4)
    assert not few.has_gt
    assert few.whole(0).gt is None


def test_share_is_per_pixel():
    assert Few(Whole(), 10, 2).share() == 1
    assert Few(Whole(), 5, 2).share() == 0.5
    few = Few(Whole(), 2, 2, side=4)  # 16 of 8 x 12 and of 13 x 12 pixels, and 2 of 10 images
    assert few.share() == pytest.approx(32 / (96 + 156) * 2 / 10)


def test_sample_of_few_is_all_of_them():
    few = Few(Whole(), 2, 2, side=4)
    assert np.array_equal(few.sample(1, RNG).lq, few.whole(1).lq)
    assert few.crop_size == 4


def test_warm_reads_only_the_first_images_and_looks_like_the_whole():
    whole = Whole()
    warm = Warm(whole, 3)
    assert len(warm) == 10
    assert [warm.sample(index, RNG).key.split()[1] for index in range(7)] == ["0", "1", "2", "0", "1", "2", "0"]
    warm.read()
    assert whole.read == [0, 1, 2]
    assert warm.whole(9).key == "9"
    assert (warm.crop_size, warm.has_gt, warm.fingerprint()) == (4, True, {"count": 10})
    assert Warm(whole, 99).count == 10


def test_warm_crop_uses_the_given_generator():
    expected = Whole().sample(1, np.random.default_rng(5)).key
    assert Warm(Whole(), 3).sample(4, np.random.default_rng(5)).key == expected


def test_scored_images_have_an_lq():
    image = np.zeros((2, 2, 3), np.uint8)
    assert lq_of(Sample(image, None, "a")) is image
