"""Images without a ground truth: found, opened whole, never trained on."""

import numpy as np
import pytest
from imagekit import numbers, write_png
from pydantic import ValidationError

from traiNNer.data.datasets.single_lq import SingleLQDataset
from traiNNer.data.order import seed_of_name
from traiNNer.degradations.noise import Noise
from traiNNer.degradations.recipe import Degrader, Recipe, Step
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import read_image
from traiNNer.registry import DATASETS

SIZES = [(9, 14), (20, 7)]


@pytest.fixture
def root(tmp_path):
    for number, size in enumerate(SIZES):
        write_png(tmp_path / "in" / f"{number}.png", numbers(*size, 3, seed=number))
    return tmp_path / "in"


def build(root, degrade=None, **options) -> SingleLQDataset:
    dataset = DATASETS.build("singlelqdataset", {"dataroot_lq": str(root)} | options, scale=2, degrade=degrade)
    assert isinstance(dataset, SingleLQDataset)
    return dataset


def test_images_come_whole_and_without_ground_truth(root):
    dataset = build(root)
    assert dataset.open("val", "datasets.test") == []
    assert (len(dataset), dataset.has_gt, dataset.originals(), dataset.paired_files()) == (2, False, [], {})
    for place in range(2):
        sample = dataset.whole(place)
        assert (sample.key, sample.gt) == (str(place), None)
        assert np.array_equal(sample.lq, read_image(root / f"{place}.png"))
    assert dataset.smallest_output() == (2 * 20, 2 * 7)
    assert dataset.fingerprint()["count"] == 2


def test_a_recipe_spoils_them_in_their_own_size(root):
    degrader = Degrader(Recipe([Step("noise", Noise())]))
    dataset = build(root, degrader)
    dataset.open("val", "datasets.test")
    sample, image = dataset.whole(0), read_image(root / "0.png")
    assert np.array_equal(sample.lq, degrader.lq(image, seed_of_name("0"), image.shape[:2]))
    assert not np.array_equal(sample.lq, image)


def test_nobody_trains_on_them(root):
    with pytest.raises(DataError, match=r"datasets\.train: training needs dataroot_gt"):
        build(root).open("train", "datasets.train")
    with pytest.raises(ValidationError):
        build(root, lq_size=8)
