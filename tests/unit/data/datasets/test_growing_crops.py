"""Crops that grow in the course of a run, and the harder one of several candidates."""

import numpy as np
import pytest
from imagekit import write_pairs

from traiNNer.registry import DATASETS
from traiNNer.utils.resize import imresize

GROWTH = [{"lq_size": 4, "until": 10}, {"lq_size": 6, "until": 25}]


def build(root, kind="PairedImageDataset", **options):
    roots = {"dataroot_gt": str(root / "hr")}
    roots |= {"dataroot_lq": str(root / "lr")} if kind == "PairedImageDataset" else {}
    dataset = DATASETS.build(kind, roots | {"lq_size": 8} | options, scale=2)
    dataset.open("train", "datasets.train")
    return dataset


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", ["PairedImageDataset", "SingleGTDataset"])
def test_crops_grow_at_the_iterations_of_the_file(tmp_path, kind):
    write_pairs(tmp_path, 2)
    dataset = build(tmp_path, kind, crop_growth=GROWTH)
    sides = {at: dataset.sample_at(0, rng(), at).lq.shape for at in (0, 9, 10, 24, 25, 10**6)}
    assert {at: shape[0] for at, shape in sides.items()} == {0: 4, 9: 4, 10: 6, 24: 6, 25: 8, 10**6: 8}
    assert dataset.sample_at(0, rng(), 0).gt.shape == (8, 8, 3)
    assert dataset.crop_size == dataset.sample(0, rng()).lq.shape[0] == 8  # the largest: memory and checks go by it


def same(one, other) -> bool:
    return np.array_equal(one.lq, other.lq) and np.array_equal(one.gt, other.gt)


@pytest.mark.parametrize("kind", ["PairedImageDataset", "SingleGTDataset"])
def test_off_is_what_it_was_and_uniform_after_the_end(tmp_path, kind):
    write_pairs(tmp_path, 2)
    plain = build(tmp_path, kind)
    compared = build(tmp_path, kind, candidates=3, candidates_until=5)
    for seed in range(5):
        before = plain.sample(1, rng(seed))
        assert same(before, plain.sample_at(1, rng(seed), 0))
        assert same(before, compared.sample_at(1, rng(seed), 5))
    assert not all(same(plain.sample(1, rng(s)), compared.sample_at(1, rng(s), 4)) for s in range(10))


@pytest.mark.parametrize("kind", ["PairedImageDataset", "SingleGTDataset"])
def test_hardest_candidate_by_the_plain_definition(tmp_path, kind):
    write_pairs(tmp_path, 2)
    still = {"use_hflip": False, "use_rot": False}
    dataset, single = build(tmp_path, kind, candidates=4, **still), build(tmp_path, kind, **still)
    for seed in range(20):
        draws = rng(seed)
        pair = dataset._pairs[1]
        crops = [single._crop(pair, 8, draws) for _ in range(4)]
        errors = [np.abs(imresize(lq / 255, 2.0) - gt / 255).mean() for lq, gt in crops]
        sample = dataset.sample_at(1, rng(seed), 0)
        np.testing.assert_array_equal(sample.lq, crops[int(np.argmax(errors))][0])
        np.testing.assert_array_equal(sample.gt, crops[int(np.argmax(errors))][1])


def test_turns_keep_the_pair_together(tmp_path):
    write_pairs(tmp_path, 2)
    dataset, still = (build(tmp_path, candidates=2, use_hflip=on, use_rot=on) for on in (True, False))
    turned = 0
    for seed in range(10):
        one, other = dataset.sample_at(0, rng(seed), 0), still.sample_at(0, rng(seed), 0)
        ways = [(flip, turns) for flip in (1, -1) for turns in range(4)]
        (way,) = [w for w in ways if np.array_equal(np.rot90(other.lq[:, :: w[0]], w[1]), one.lq)]
        np.testing.assert_array_equal(np.rot90(other.gt[:, :: way[0]], way[1]), one.gt)
        turned += way != (1, 0)
    assert turned
