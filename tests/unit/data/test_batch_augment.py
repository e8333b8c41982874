"""Images are mixed as the papers say, at the native resolution of both sides, as a function of their seeds."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch

from traiNNer.batch import Batch, ImageSet, Sample
from traiNNer.data.batch_augment import (
    MIXUP_BETA,
    BatchAugment,
    Box,
    draw_box,
    image_rng,
    in_depth,
    partner,
)
from traiNNer.data.loader import TrainLoader
from traiNNer.engine.step import split
from traiNNer.errors import DataError
from traiNNer.utils.resize import imresize

MIXES = ("mixup", "cutmix", "resizemix", "cutblur")
SHARES = (0.4, 0.084, 0.084, 0.084, 0.348)
SCALE, SIDE = 3, 20


def batch(count=4, kind=np.uint8, frames=(), seed=1, scale=SCALE, gt_kind=None):
    """Return a micro-batch of noise: in it every wrong pixel shows."""
    rng = np.random.default_rng(seed)

    def noise(side, depth):
        shape = (count, *frames, side, side + 4 * side // SIDE, 3)
        return torch.from_numpy(rng.integers(0, np.iinfo(depth).max + 1, shape).astype(depth))

    keys, seeds = tuple(f"k{i}" for i in range(count)), tuple(int(i) for i in rng.integers(0, 2**63, count))
    return Batch(noise(SIDE, kind), noise(SIDE * scale, gt_kind or kind), keys, seeds=seeds, skipped=("x.png",))


def only(method):
    return BatchAugment((method,), (1.0,))


def sides(found):
    return [(found.lq.numpy(), 1), (found.gt.numpy(), found.gt.shape[-2] // found.lq.shape[-2])]


def drawn(seed, place, count):
    """Return the generator of an image after what every method draws first, and its partner."""
    rng = image_rng(seed)
    rng.random()
    return rng, partner(place, count, rng)


def inside(box, factor, shape):
    """Return which pixels of H, W a box covers, from its definition: an LQ pixel is `factor` pixels wide."""
    rows, columns = (np.arange(side) // factor for side in shape)
    is_row = (rows >= box.top) & (rows < box.top + box.height)
    return is_row[:, None] & ((columns >= box.left) & (columns < box.left + box.width))[None]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("frames", [(), (2,)])
def test_mixup_is_the_weighted_mean_of_two_images(kind, frames):
    given = batch(kind=kind, frames=frames)
    found = only("mixup")(given)
    for place, seed in enumerate(given.seeds):
        rng, other = drawn(seed, place, 4)
        weight = rng.beta(MIXUP_BETA, MIXUP_BETA)
        for (before, _), (after, _) in zip(sides(given), sides(found), strict=True):
            exact = weight * before[place].astype(float) + (1 - weight) * before[other].astype(float)
            assert np.abs(after[place] - exact).max() <= 0.5 + 1e-9
            assert after.dtype == kind


@pytest.mark.parametrize("frames", [(), (2,)])
def test_cutmix_pastes_the_same_box_of_another_image(frames):
    given = batch(frames=frames)
    found = only("cutmix")(given)
    for place, seed in enumerate(given.seeds):
        rng, other = drawn(seed, place, 4)
        side = np.sqrt(rng.random())
        box = draw_box((SIDE, SIDE + 4), (side, side), rng)
        for (before, factor), (after, _) in zip(sides(given), sides(found), strict=True):
            mask = inside(box, factor, before.shape[-3:-1])[..., None]
            assert np.array_equal(after[place], np.where(mask, before[other], before[place]))


def test_resizemix_pastes_the_whole_of_another_image_made_smaller():
    given = batch(frames=(2,))
    found = only("resizemix")(given)
    for place, seed in enumerate(given.seeds):
        rng, other = drawn(seed, place, 4)
        share = rng.uniform(0.1, 0.8)
        box = draw_box((SIDE, SIDE + 4), (share, share), rng)
        assert (box.height, box.width) == (round(SIDE * share), round((SIDE + 4) * share))
        for (before, factor), (after, _) in zip(sides(given), sides(found), strict=True):
            mask = inside(box, factor, before.shape[-3:-1])
            for frame in range(2):
                small = imresize(before[other, frame], size=(box.height * factor, box.width * factor))
                assert np.array_equal(after[place, frame][mask], small.reshape(-1, 3))
                assert np.array_equal(after[place, frame][~mask], before[place, frame][~mask])


def test_cutblur_pastes_its_own_truth_into_a_box_or_around_it():
    given = batch(count=12)
    found = only("cutblur")(given)
    assert torch.equal(found.gt, given.gt)
    ways = set()
    for place in range(12):
        clean = imresize(given.gt[place].numpy(), size=(SIDE, SIDE + 4))
        is_clean = (found.lq[place].numpy() == clean).all(axis=-1)
        is_kept = (found.lq[place].numpy() == given.lq[place].numpy()).all(axis=-1)
        assert (is_clean | is_kept).all()
        is_box_clean = is_clean[[0, 0, -1, -1], [0, -1, 0, -1]].sum() <= 1  # a box reaches at most one corner
        box = is_clean if is_box_clean else is_kept
        rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
        # Sides of 0.7 by 0.01: 13 to 15 of 20 and 16 to 18 of 24, within four deviations.
        assert 13 <= len(rows) <= 15
        assert 16 <= len(columns) <= 18
        assert box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        ways.add(is_box_clean)
    assert ways == {True, False}


def test_cutblur_changes_nothing_where_lq_is_the_plain_shrunk_truth():
    given = batch()
    plain = np.stack([imresize(image, size=(SIDE, SIDE + 4)) for image in given.gt.numpy()])
    given = Batch(torch.from_numpy(plain), given.gt, given.keys, seeds=given.seeds)
    assert torch.equal(only("cutblur")(given).lq, given.lq)


@pytest.mark.parametrize("kinds", [(np.uint8, np.uint16), (np.uint16, np.uint8)])
def test_cutblur_of_two_depths_keeps_that_of_lq(kinds):
    given = batch(kind=kinds[0], gt_kind=kinds[1])
    found = only("cutblur")(given)
    assert (found.lq.numpy().dtype, found.gt.numpy().dtype) == kinds
    factor = 1 / 257 if kinds[0] == np.uint8 else 257.0
    clean = np.stack([imresize(image, size=(SIDE, SIDE + 4)) for image in given.gt.numpy()]) * factor
    kept = (found.lq == given.lq).numpy()
    assert not kept.all()
    assert (np.abs(found.lq.numpy() - clean)[~kept] <= 0.5).all()


def test_depths_are_widened_exactly_and_narrowed_to_the_nearest():
    levels = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(in_depth(levels, np.dtype(np.uint8)), np.floor(levels / 257 + 0.5))
    assert np.array_equal(in_depth(np.arange(256, dtype=np.uint8), np.dtype(np.uint16)), np.arange(256) * 257)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_none_leaves_every_bit(kind):
    given = batch(kind=kind)
    found = only("none")(given)
    assert torch.equal(found.lq, given.lq)
    assert torch.equal(found.gt, given.gt)
    assert (found.keys, found.seeds, found.skipped) == (given.keys, given.seeds, given.skipped)


def test_images_that_draw_none_keep_every_bit_beside_others():
    given = batch(count=16)
    augment = BatchAugment(("none", *MIXES), SHARES)
    methods = [augment.draw(image_rng(seed)) for seed in given.seeds]
    found = augment(given)
    assert 0 < methods.count("none") < 16
    for place, method in enumerate(methods):
        same = torch.equal(found.lq[place], given.lq[place]) and torch.equal(found.gt[place], given.gt[place])
        assert same == (method == "none")


@pytest.mark.parametrize("method", MIXES)
def test_mixing_is_a_function_of_the_seed_alone_and_leaves_what_it_was_given(method):
    given, augment = batch(), only(method)
    kept = given.map(torch.clone)
    first, again = augment(given), pickle.loads(pickle.dumps(augment))(given)
    assert torch.equal(given.lq, kept.lq)
    assert torch.equal(given.gt, kept.gt)
    assert torch.equal(first.lq, again.lq)
    assert torch.equal(first.gt, again.gt)
    other = augment(Batch(given.lq, given.gt, given.keys, seeds=tuple(seed ^ 1 for seed in given.seeds)))
    assert not torch.equal(first.lq, other.lq)


def test_ten_thousand_draws_follow_the_probabilities():
    augment = BatchAugment(("none", *MIXES), SHARES)
    counts = Counter(augment.draw(image_rng(seed)) for seed in range(10_000))
    for method, share in zip(augment.methods, SHARES, strict=True):
        assert abs(counts[method] - 10_000 * share) < 4 * np.sqrt(10_000 * share * (1 - share))


def test_method_of_probability_zero_is_never_drawn():
    augment = BatchAugment(("none", "mixup", "cutblur"), (0.0, 1.0, 0.0))
    assert {augment.draw(image_rng(seed)) for seed in range(1000)} == {"mixup"}
    assert augment.drawable == ("mixup",)


def test_partner_is_any_other_image():
    counts = Counter(partner(2, 5, image_rng(seed)) for seed in range(4000))
    assert set(counts) == {0, 1, 3, 4}
    assert max(counts.values()) - min(counts.values()) < 250
    assert partner(0, 1, image_rng(1)) == 0


def test_boxes_lie_anywhere_inside():
    rng = np.random.default_rng(0)
    boxes = [draw_box((5, 7), (0.5, 0.5), rng) for _ in range(400)]
    assert {(box.height, box.width) for box in boxes} == {(2, 4)}
    assert {(box.top, box.left) for box in boxes} == {(top, left) for top in range(4) for left in range(4)}
    assert draw_box((5, 7), (1.0, 1.0), rng) == Box(0, 0, 5, 7)
    assert (draw_box((5, 7), (0.0, 0.0), rng).height, draw_box((5, 7), (0.0, 0.0), rng).width) == (1, 1)


@pytest.mark.parametrize("side", ["lq", "gt"])
def test_side_that_is_missing_stays_so_and_cutblur_says_that_it_needs_both(side):
    given = batch()
    alone = Batch(
        *(None if name == side else getattr(given, name) for name in ("lq", "gt")), given.keys, seeds=given.seeds
    )
    for method in ("mixup", "cutmix", "resizemix"):
        assert getattr(only(method)(alone), side) is None
    with pytest.raises(
        DataError, match=f"cutblur needs both sides, and k0 has no {'LQ' if side == 'lq' else 'ground'}"
    ):
        only("cutblur")(alone)


def test_step_that_is_split_for_memory_trains_on_the_same_images():
    mixed = BatchAugment(("none", *MIXES), SHARES)(batch(count=6))
    parts = [part for part, _ in split(mixed, 2)]
    assert len(parts) == 3
    assert torch.equal(torch.cat([part.lq for part in parts]), mixed.lq)
    assert torch.equal(torch.cat([part.gt for part in parts]), mixed.gt)


class Noise(ImageSet):
    """Crops of noise; without LQ where told."""

    def __init__(self, has_lq=True):
        self.has_lq = has_lq

    def __len__(self):
        return 10

    def sample(self, index, rng):
        gt = rng.integers(0, 256, (16, 16, 3), np.uint8)
        return Sample(gt[::2, ::2] if self.has_lq else None, gt, f"key{index}")

    def whole(self, index):
        raise NotImplementedError

    def fingerprint(self):
        return {}


def stream(augment, workers=0, start=0, accum_iter=2, **ranks):
    loader = TrainLoader(
        Noise(), seed=3, batch_size=3, total_iter=6, accum_iter=accum_iter, workers=workers, start_iteration=start,
        timeout_s=60, augment=augment, **ranks,
    )  # fmt: skip
    try:
        return [[(batch.lq.tolist(), batch.gt.tolist()) for batch in step] for step in loader]
    finally:
        loader.close()


def test_stream_is_the_same_with_data_workers_and_after_a_resume():
    augment = BatchAugment(MIXES, (0.25,) * 4)
    straight = stream(augment)
    assert straight != stream(None)
    assert stream(augment, workers=2) == straight
    assert stream(augment, start=4) == straight[4:]


def test_ranks_mix_what_accumulation_would():
    augment = BatchAugment(MIXES, (0.25,) * 4)
    ranks = [stream(augment, accum_iter=1, rank=rank, world=2) for rank in range(2)]
    assert [[first[0], second[0]] for first, second in zip(*ranks, strict=True)] == stream(augment)


@pytest.mark.parametrize("workers", [0, 1])
def test_set_that_cannot_be_mixed_ends_the_run_with_the_reason(workers):
    loader = TrainLoader(
        Noise(has_lq=False), seed=3, batch_size=3, total_iter=2, workers=workers, timeout_s=60, augment=only("cutblur")
    )
    try:
        with pytest.raises(DataError, match="cutblur needs both sides"):
            next(iter(loader))
    finally:
        loader.close()
