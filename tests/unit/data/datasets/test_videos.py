"""Samples of paired and single videos: windows, cuts, crops equal over time, degradations, workers, films."""

import cv2
import numpy as np
import pytest

from traiNNer.data.datasets.clips import ClipFiles
from traiNNer.data.datasets.paired_videos import PairedVideoDataset
from traiNNer.data.datasets.single_videos import SingleVideoDataset
from traiNNer.data.files.options import FileOptions
from traiNNer.data.loader import TrainLoader
from traiNNer.degradations.noise import Noise
from traiNNer.degradations.recipe import Degrader, Recipe, Step
from traiNNer.errors import DataError
from traiNNer.utils.resize import imresize

FRAMES = 6


def scene(seed, size=(96, 128)):
    noise = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.float32)
    return cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def frame(clip, number):
    return np.ascontiguousarray(scene(clip)[20:60, 2 * number : 2 * number + 48])


def write(folder, clips=("a", "b")):
    """Two clips of a moving picture; frame 0 of a clip is where it begins."""
    for seed, clip in enumerate(clips):
        for number in range(FRAMES):
            image = frame(seed, number)[:, :, ::-1]
            for side, one in (("hr", image), ("lr", np.ascontiguousarray(image[::2, ::2]))):
                (folder / side / clip).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / side / clip / f"{number:03}.png"), one)
    return folder


def paired(folder, purpose="train", degrade=None, clip_size=5, **files):
    one = PairedVideoDataset(
        2, str(folder / "lr"), str(folder / "hr"), clip_size, FileOptions(**{"lq_size": 8} | files), degrade
    )
    one.open(purpose, "datasets.train")
    return one


def single(folder, purpose="train", degrade=None, clip_size=3, **files):
    one = SingleVideoDataset(2, str(folder / "hr"), clip_size, FileOptions(**{"lq_size": 8} | files), degrade)
    one.open(purpose, "datasets.train")
    return one


def noisy():
    return Degrader(Recipe([Step("noise", Noise())]))


def test_whole_frames_have_those_around_them(tmp_path):
    one = paired(write(tmp_path), "val")
    assert isinstance(one, ClipFiles)
    assert len(one) == 2 * FRAMES
    assert (one.has_gt, one.is_film, one.crop_size) == (True, True, 8)
    for clip in range(2):
        for number in range(FRAMES):
            sample = one.whole(clip * FRAMES + number)
            near = [min(max(number + offset, 0), FRAMES - 1) for offset in (-2, -1, 0, 1, 2)]
            assert np.array_equal(sample.lq, np.stack([frame(clip, place)[::2, ::2] for place in near]))
            assert np.array_equal(sample.gt, frame(clip, number))
            assert sample.key == f"{'ab'[clip]}/{number:03}"
            assert sample.previous == (f"{'ab'[clip]}/{number - 1:03}" if number else "")
            assert np.array_equal(sample.middle, frame(clip, number)[::2, ::2])


def test_crops_are_the_same_place_of_every_frame_and_turned_alike(tmp_path):
    one, rng = paired(write(tmp_path)), np.random.default_rng(0)
    wholes = [one.whole(index) for index in range(len(one))]
    for draw in range(20):
        sample = one.sample(draw % len(one), rng)
        assert (sample.lq.shape, sample.gt.shape) == ((5, 8, 8, 3), (16, 16, 3))
        assert any(np.array_equal(sample.lq, turned(place)) for place in places(wholes[draw % len(one)].lq, 8))
        assert np.array_equal(sample.gt[::2, ::2], sample.lq[2]) or draw_is_turned(sample)


def draw_is_turned(sample):
    """Every second pixel of GT in some corner is LQ, whichever way both are turned."""
    return any(np.array_equal(sample.gt[y::2, x::2], sample.lq[2]) for y in (0, 1) for x in (0, 1))


def turned(place):
    return place


def places(clip, side):
    """Every crop of a clip in all eight positions."""
    for top in range(clip.shape[1] - side + 1):
        for left in range(clip.shape[2] - side + 1):
            crop = clip[:, top : top + side, left : left + side]
            for quarters in range(4):
                again = np.rot90(crop, quarters, axes=(1, 2))
                yield again
                yield again[:, :, ::-1]
                yield again[:, ::-1]


def test_windows_do_not_cross_a_cut(tmp_path):
    write(tmp_path, ("a",))
    for side, step in (("hr", 1), ("lr", 2)):
        for number in range(FRAMES):
            other = frame(2, FRAMES + number)[::step, ::step, ::-1]
            cv2.imwrite(str(tmp_path / side / "a" / f"{FRAMES + number:03}.png"), np.ascontiguousarray(other))
    one = paired(tmp_path, "val")
    last, first = one.whole(FRAMES - 1), one.whole(FRAMES)
    assert np.array_equal(last.lq[2], last.lq[4])
    assert np.array_equal(first.lq[0], first.lq[2])
    assert (last.previous, first.previous) == (f"a/{FRAMES - 2:03}", "")
    assert one.whole(FRAMES + 1).previous == f"a/{FRAMES:03}"


def test_flat_folders_and_gaps_make_clips(tmp_path):
    write(tmp_path)
    for side in ("hr", "lr"):
        for clip in "ab":
            for file in (tmp_path / side / clip).iterdir():
                file.rename(tmp_path / side / f"show{clip}_{file.name}")
    (tmp_path / "hr/showb_002.png").unlink()
    (tmp_path / "lr/showb_002.png").unlink()
    one = PairedVideoDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"), 3, FileOptions(lq_size=8))
    notices = one.open("val", "datasets.val")
    firsts = [index for index in range(len(one)) if not one.whole(index).previous]
    assert firsts == [0, FRAMES, FRAMES + 2]
    assert "1 of 3 clips have fewer frames than clip_size 3" in " ".join(notices)


def test_single_video_shrinks_every_frame(tmp_path):
    one = single(write(tmp_path), "val")
    sample = one.whole(2)
    assert np.array_equal(sample.lq, np.stack([imresize(frame(0, number), size=(20, 24)) for number in (1, 2, 3)]))
    assert np.array_equal(sample.gt, frame(0, 2))
    crop = single(tmp_path).sample(2, np.random.default_rng(0))
    assert (crop.lq.shape, crop.gt.shape) == ((3, 8, 8, 3), (16, 16, 3))


def test_one_frame_is_a_still(tmp_path):
    sample = paired(write(tmp_path), "val", clip_size=1).whole(3)
    assert sample.lq.ndim == 3
    assert sample.previous == "a/002"
    assert paired(tmp_path, clip_size=1).sample(0, np.random.default_rng(0)).lq.shape == (8, 8, 3)


@pytest.mark.parametrize("make", [paired, single])
def test_degraded_frames_are_one_film(tmp_path, make):
    """A frame has the same noise in every window that it is seen in, and other noise than the frames beside it."""
    clean, one = make(write(tmp_path), "val"), make(tmp_path, "val", noisy())
    noise = [one.whole(index).lq.astype(int) - clean.whole(index).lq for index in range(FRAMES)]
    half = one.clip_size // 2
    assert np.array_equal(noise[2][half + 1], noise[3][half])
    assert not np.array_equal(noise[2][half + 1], noise[2][half])
    strengths = [one.whole(index).lq.astype(int)[half].std() for index in range(FRAMES)]
    assert max(strengths) < 1.2 * min(strengths)
    assert np.array_equal(one.whole(3).gt, clean.whole(3).gt)
    assert np.array_equal(one.whole(3).lq, make(tmp_path, "val", noisy()).whole(3).lq)


@pytest.mark.parametrize("make", [paired, single])
def test_stream_is_the_same_for_any_workers_ranks_and_resume(tmp_path, make):
    write(tmp_path)

    def stream(start=0, workers=0, rank=0, world=1, size=4):
        loader = TrainLoader(
            make(tmp_path, degrade=noisy()),
            seed=3,
            batch_size=size,
            total_iter=4,
            workers=workers,
            start_iteration=start,
            rank=rank,
            world=world,
        )
        try:
            return [batch for step in loader for batch in step]
        finally:
            loader.close()

    alone = stream()
    for one, two in zip(alone, stream(workers=2), strict=True):
        assert one.keys == two.keys
        assert bool((one.lq == two.lq).all())
    assert bool((alone[2].lq == stream(start=2)[0].lq).all())
    halves = [stream(rank=rank, world=2, size=2)[1].lq for rank in range(2)]
    assert bool((alone[1].lq[:2] == halves[0]).all())
    assert bool((alone[1].lq[2:] == halves[1]).all())


def test_damaged_frame_is_replaced(tmp_path):
    one = paired(write(tmp_path))
    (tmp_path / "lr/a/002.png").write_bytes((tmp_path / "lr/a/002.png").read_bytes()[:-60])
    sample = one.sample(1, np.random.default_rng(0))  # sees frame 2
    assert "002.png" in sample.skipped[0]
    assert sample.key == "a/005"


def test_wrong_options_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(ValueError, match="clip_size 4 must be odd"):
        paired(tmp_path, clip_size=4)
    with pytest.raises(DataError, match=r"split holds out single images\. Name films or folders"):
        paired(tmp_path, split="train")


def test_fingerprint_knows_the_frames(tmp_path):
    before = paired(write(tmp_path)).fingerprint()
    assert paired(tmp_path).fingerprint() == before
    (tmp_path / "hr/b/005.png").unlink()
    (tmp_path / "lr/b/005.png").unlink()
    assert paired(tmp_path).fingerprint() != before
    assert next(iter(paired(tmp_path).paired_files())) == "a/000"
