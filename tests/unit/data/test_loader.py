import contextlib
import errno
import gc
import os
import re
import signal
import struct
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.synchronize import SemLock

import cv2
import numpy as np
import pytest
import torch
from imagekit import write_pairs
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from benchmarks.data_path import resident
from traiNNer.batch import Batch, BatchPlan, ImageSet, Sample
from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.data.files.options import CropStep, FileOptions
from traiNNer.data.loader import MOST_DEATHS, START_METHOD, DamageCounter, TrainLoader
from traiNNer.data.transfer import collate
from traiNNer.data.wait_watch import Verdict
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import read_image
from traiNNer.utils.host import Cores

needs_sessions = pytest.mark.skipif(not hasattr(os, "setsid"), reason="no sessions on this system")


@dataclass
class FakeSet(ImageSet):
    """Samples that contain their index and random draw; fails at chosen indices."""

    length: int = 10
    faults: dict = field(default_factory=dict)
    deep: frozenset = frozenset()
    strict: bool = False

    def __len__(self):
        return self.length

    def sample(self, index, rng):
        if index in self.faults:
            self.faults[index]()
        kind = np.uint16 if index in self.deep else np.uint8
        lq = np.full((2, 2, 3), index, kind)
        lq[0, 0] = rng.integers(0, 256, 3)
        return Sample(lq, lq.repeat(2, 0).repeat(2, 1), f"key{index}")

    def whole(self, index):
        raise NotImplementedError

    def fingerprint(self):
        return {}


class OpeningSet(FakeSet):
    """Its samples tell how often a data worker was started."""

    starts = 0

    def start_worker(self):
        self.starts += 1

    def sample(self, index, rng):
        lq = np.full((2, 2, 3), self.starts, np.uint8)
        return Sample(lq, lq.repeat(2, 0).repeat(2, 1), f"key{index}")


def run(dataset, **options):
    """Return all batches of a loader as comparable values."""
    loader = TrainLoader(dataset, **{"seed": 3, "batch_size": 2, "total_iter": 9, "timeout_s": 30} | options)
    try:
        return [
            [(batch.lq.tolist(), batch.gt.tolist(), batch.keys, batch.skipped, batch.lq.dtype) for batch in step]
            for step in loader
        ]
    finally:
        loader.close()


@pytest.mark.parametrize("accum_iter", [1, 3])
@pytest.mark.parametrize("workers", [1, 2])
def test_stream_is_the_same_for_any_number_of_workers(accum_iter, workers):
    dataset = FakeSet(deep=frozenset({4, 5}))
    expected = run(dataset, accum_iter=accum_iter)
    assert [len(step) for step in expected] == [accum_iter] * 9
    assert run(dataset, accum_iter=accum_iter, workers=workers) == expected


def grown(workers, accum_iter=1, lead=64, ordered_at=3):
    """Return the keys of every iteration of a run whose batch grows from 1 to 3 on request."""
    plan, keys = BatchPlan(1, lead), []
    loader = TrainLoader(
        FakeSet(), seed=3, batch_size=plan, total_iter=lead + 10, accum_iter=accum_iter, workers=workers, timeout_s=30
    )
    for iteration, step in enumerate(loader, 1):
        keys.append([batch.keys for batch in step])
        if iteration == ordered_at:
            plan.change(iteration, 3)
    loader.close()
    return keys


@pytest.mark.parametrize("workers", [1, 2, pytest.param(32, marks=pytest.mark.nightly)])
def test_growing_batch_stream_is_independent_of_worker_count(workers):
    expected = grown(0)
    assert [len(step[0]) for step in expected] == [1] * 67 + [3] * 7
    assert grown(workers) == expected


@pytest.mark.parametrize(("workers", "accum_iter"), [(1, 1), (2, 1), (2, 3), (5, 1), (8, 2)])
def test_short_lead_is_never_exceeded(workers, accum_iter):
    assert grown(workers, accum_iter, lead=4) == grown(0, accum_iter, lead=4)


def test_workers_exceeding_the_lead_are_dropped_and_reported():
    loader = TrainLoader(FakeSet(), seed=0, batch_size=BatchPlan(1), total_iter=1, workers=65)
    assert loader._loader.num_workers == 64
    assert loader.notices[0].startswith("Only 64 of 65 data workers are used")
    fixed = TrainLoader(FakeSet(), seed=0, batch_size=1, total_iter=1, workers=65)
    assert (fixed._loader.num_workers, fixed._loader.prefetch_factor, fixed.notices) == (65, 4, [])


def test_real_images_are_the_same_for_any_number_of_workers(tmp_path):
    write_pairs(tmp_path, 5, size=(20, 24))
    dataset = PairedImageDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"), files=FileOptions(lq_size=8))
    dataset.open("train", "t")
    streams = [run(dataset, workers=workers, enlarge_ratio=3) for workers in (0, 1, 2)]
    assert streams[0] == streams[1] == streams[2]
    for cache in (str(tmp_path / "kept"), str(tmp_path / "kept"), "off"):
        files = FileOptions(lq_size=8, cache=cache)
        dataset = PairedImageDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"), files=files)
        dataset.open("train", "t")
        for workers in (0, 2):
            assert run(dataset, workers=workers, enlarge_ratio=3) == streams[0]


@pytest.mark.parametrize(("workers", "start"), [*((0, start) for start in (0, 3, 4, 7, 8)), (1, 3), (3, 0), (3, 4)])
def test_growing_crops_are_the_same_for_any_number_of_workers_and_after_a_resume(tmp_path, workers, start):
    write_pairs(tmp_path, 5, size=(20, 24))
    steps = tuple(CropStep(lq_size=size, until=until) for size, until in ((4, 4), (6, 8)))
    files = FileOptions(lq_size=8, crop_growth=steps, candidates=2, candidates_until=8)
    dataset = PairedImageDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"), files=files)
    dataset.open("train", "t")
    whole = run(dataset)
    assert [len(lq[0]) for ((lq, *_),) in whole] == [4] * 4 + [6] * 4 + [8]
    assert run(dataset, workers=workers, start_iteration=start) == whole[start:]


@pytest.mark.parametrize(("workers", "accum_iter"), [(0, 1), (0, 2), (2, 2)])
@pytest.mark.parametrize("start", [1, 4, 5, 8])
def test_continues_from_any_iteration(workers, accum_iter, start):
    whole = run(FakeSet(), accum_iter=accum_iter)
    assert run(FakeSet(), accum_iter=accum_iter, workers=workers, start_iteration=start) == whole[start:]


def test_no_batches_are_left_at_the_end():
    assert run(FakeSet(), start_iteration=9) == []


def test_two_ranks_interleave_to_one_rank_order():
    one = run(FakeSet(), batch_size=4, accum_iter=2)
    ranks = [run(FakeSet(), batch_size=2, accum_iter=2, rank=rank, world=2) for rank in (0, 1)]
    for step, first, second in zip(one, *ranks, strict=True):
        for whole, left, right in zip(step, first, second, strict=True):
            assert whole[0] == left[0] + right[0]
            assert whole[2] == left[2] + right[2]


def test_accumulation_is_a_larger_batch():
    large = run(FakeSet(), batch_size=6)
    parts = run(FakeSet(), batch_size=2, accum_iter=3)
    assert [[key for batch in step for key in batch[2]] for step in parts] == [list(step[0][2]) for step in large]


def test_every_image_appears_once_per_epoch_in_a_new_order():
    steps = run(FakeSet(), batch_size=5, total_iter=8)
    keys = [key for step in steps for batch in step for key in batch[2]]
    for epoch in range(4):
        assert sorted(keys[epoch * 10 : epoch * 10 + 10]) == sorted(f"key{n}" for n in range(10))
    images = [str(image) for step in steps for batch in step for image in batch[0]]
    assert len(set(images)) == 40


def test_enlarged_dataset_repeats_with_different_draws():
    steps = run(FakeSet(), batch_size=6, total_iter=5, enlarge_ratio=3)
    keys = [key for step in steps for batch in step for key in batch[2]]
    assert sorted(keys) == sorted([f"key{n}" for n in range(10)] * 3)
    assert len({str(image) for step in steps for batch in step for image in batch[0]}) == 30


def test_dataset_smaller_than_the_batch_repeats():
    steps = run(FakeSet(1), batch_size=3, total_iter=2)
    assert [batch[2] for step in steps for batch in step] == [("key0",) * 3] * 2


def test_seeds_differ():
    assert run(FakeSet(), seed=1) != run(FakeSet(), seed=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_global_rng_is_not_touched(workers):
    expected = run(FakeSet(), workers=workers)
    torch.manual_seed(99)
    np.random.seed(99)
    before = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    assert run(FakeSet(), workers=workers) == expected
    assert (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("workers", [0, 2])
def test_8_and_16_bit_scores_agree_exactly(workers):
    (step,) = run(FakeSet(4, deep=frozenset({2})), batch_size=4, total_iter=1, workers=workers)
    ((lq, _, keys, _, kind),) = step
    assert kind is torch.uint16
    for image, key in zip(lq, keys, strict=True):
        index = int(key.removeprefix("key"))
        assert image[1][1] == [index * (1 if index == 2 else 257)] * 3


def test_widening_is_exact_and_leaves_plain_batches_unchanged():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    deep = np.arange(768, dtype=np.uint16).reshape(16, 16, 3) * 85
    mixed = collate([Sample(every, every, "a"), Sample(deep, deep, "b", skipped=("x",))])
    assert isinstance(mixed, Batch)
    assert mixed.gt is not None
    np.testing.assert_array_equal(mixed.lq[0].numpy() / 65535, every / 255)
    np.testing.assert_array_equal(mixed.gt[1].numpy(), deep)
    assert (mixed.keys, mixed.skipped) == (("a", "b"), ("x",))
    plain = collate([Sample(every, deep, "a")])
    assert isinstance(plain, Batch)
    assert plain.gt is not None
    assert (plain.lq.dtype, plain.gt.dtype) == (torch.uint8, torch.uint16)


def fail(error):
    def failing():
        raise error

    return failing


def ends(dataset, **options):
    """Return the message with which the loader ends; its workers must have ended too."""
    loader = TrainLoader(dataset, **{"seed": 3, "batch_size": 2, "total_iter": 50, "timeout_s": 120} | options)
    try:
        with pytest.raises(DataError) as caught:
            for _ in loader:
                pass
    finally:
        workers = list(getattr(loader._iterator, "_workers", []))
        loader.close()
    assert not any(worker.is_alive() for worker in workers)
    return str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_data_error_ends_the_run_with_its_message(workers):
    text = ends(FakeSet(faults={5: fail(DataError("set x: no image can be read"))}), workers=workers)
    assert text == "set x: no image can be read"


@pytest.mark.parametrize("workers", [0, 2])
def test_read_error_is_a_data_error(tmp_path, workers):
    error = OSError(errno.EIO, "Input/output error", "d/x.png")
    text = ends(FakeSet(faults={5: fail(error)}), workers=workers)
    assert text == "image 5 cannot be read: [Errno 5] Input/output error: 'd/x.png'"


@pytest.mark.parametrize("workers", [0, 2])
def test_internal_error_is_not_hidden(workers):
    with pytest.raises(ZeroDivisionError, match="planted"):
        run(FakeSet(faults={5: fail(ZeroDivisionError("planted"))}), workers=workers)
    with pytest.raises(RuntimeError, match="planted"):
        run(FakeSet(faults={5: fail(RuntimeError("planted"))}), workers=workers)


@pytest.fixture
def quick_look(monkeypatch):
    """Look for dead workers more often than torch's users need it."""
    monkeypatch.setattr("traiNNer.data.loader.LOOK_EVERY_S", 0.3)
    monkeypatch.setattr("traiNNer.data.worker_context.SILENCE_S", 0.5)


def once(folder, fault):
    """Return a fault that happens the first time only, in whichever process."""

    def failing():
        with contextlib.suppress(FileExistsError):
            (folder / "done").touch(exist_ok=False)
            fault()

    return failing


def killed(name="SIGKILL"):
    return lambda: os.kill(os.getpid(), getattr(signal, name))


@pytest.mark.parametrize("fault", [killed("SIGKILL"), killed("SIGSEGV"), lambda: os._exit(0)])
def test_sample_that_always_kills_its_worker_ends_the_run(quick_look, fault):
    text = ends(FakeSet(faults={5: fault}), workers=2)
    assert text.startswith("Data worker died (killed, maybe out of RAM). Lower num_worker_per_gpu")


@pytest.mark.parametrize(("workers", "accum_iter"), [(1, 1), (2, 1), (3, 2)])
def test_worker_that_dies_changes_no_sample(tmp_path, quick_look, workers, accum_iter):
    expected = run(FakeSet(), accum_iter=accum_iter)
    dataset = FakeSet(faults={5: once(tmp_path, killed())})
    loader = TrainLoader(
        dataset, seed=3, batch_size=2, total_iter=9, accum_iter=accum_iter, workers=workers, timeout_s=30
    )
    keys = [[batch.keys for batch in step] for step in loader]
    (told,) = loader.news()
    loader.close()
    assert keys == [[batch[2] for batch in step] for step in expected]
    assert re.match(r"A data worker died \(killed, maybe out of RAM; worker \d reading image 5\)", told)
    (tmp_path / "done").unlink()
    assert run(dataset, workers=workers, accum_iter=accum_iter) == expected


def shared(name):
    """Return what a data worker shares with the main process, by its name in torch's loop."""
    frame = sys._getframe()
    while frame.f_code.co_name != "_worker_loop":
        frame = frame.f_back
    return frame.f_locals[name]


def hold_the_event():
    """Hold every lock of the event that tells workers to end."""
    seen, found = set(), [shared("done_event")]
    while found:
        thing = found.pop()
        if isinstance(thing, SemLock) and id(thing) not in seen:
            thing.acquire(block=False)
        if id(thing) not in seen:
            found.extend(vars(thing).values() if hasattr(thing, "__dict__") else ())
        seen.add(id(thing))


def hold_the_results():
    shared("data_queue")._wlock.acquire()


def send_half_a_message():
    hold_the_results()
    shared("data_queue")._writer._send(struct.pack("!i", 100) + b"half")


@pytest.mark.skipif(START_METHOD != "fork", reason="the fault is not picklable")
@pytest.mark.parametrize("holding", [hold_the_event, hold_the_results, send_half_a_message])
@pytest.mark.parametrize("workers", [1, 2])
def test_worker_may_be_killed_at_any_instant(tmp_path, quick_look, holding, workers):
    def fault():
        holding()
        killed()()

    dataset = FakeSet(faults={5: once(tmp_path, fault)})
    assert run(dataset, workers=workers) == run(FakeSet())
    assert (tmp_path / "done").exists()


def test_growing_batches_survive_a_death(tmp_path, quick_look):
    expected = grown(0)
    plan, keys = BatchPlan(1), []
    loader = TrainLoader(FakeSet(), seed=3, batch_size=plan, total_iter=74, workers=2, timeout_s=30)
    for iteration, step in enumerate(loader, 1):
        keys.append([batch.keys for batch in step])
        if iteration == 3:
            plan.change(3, 3)
        if iteration in (10, 66):
            loader._iterator._workers[0].kill()
    loader.close()
    assert keys == expected


def test_deaths_are_bounded(quick_look):
    loader = TrainLoader(FakeSet(), seed=0, batch_size=1, total_iter=500, workers=1, timeout_s=30)
    with pytest.raises(DataError, match="Data worker died"):
        [loader._iterator._workers[0].kill() for _ in loader]
    loader.close()
    assert 1 <= len(loader.news()) < MOST_DEATHS


def test_worker_killed_holding_a_batch_is_noticed(monkeypatch):
    loader = TrainLoader(FakeSet(), seed=0, batch_size=1, total_iter=20, workers=1, timeout_s=30)
    stream = iter(loader)
    first = next(stream)[0].keys
    (worker,) = loader._iterator._workers
    while loader._iterator._worker_result_queue.empty():
        time.sleep(0.01)
    worker.kill()
    worker.join()
    # torch checks for dead workers only once, when a killed process may not have ended yet.
    monkeypatch.setattr(worker, "is_alive", lambda: True)
    keys = [first, *(step[0].keys for step in stream)]
    loader.close()
    assert keys == [step[0][2] for step in run(FakeSet(), seed=0, batch_size=1, total_iter=20)]
    assert len(loader.news()) == 1


def test_workers_are_added_where_training_waits(monkeypatch):
    monkeypatch.setattr("traiNNer.data.loader.cores", lambda: Cores(8, 8))
    verdicts = {4: Verdict(0.5, 200, 4, ""), 9: Verdict(0.3, 200, 4, "Buy more.")}
    noted = count(1)
    monkeypatch.setattr("traiNNer.data.loader.WaitWatch.note", lambda *_: verdicts.get(next(noted)))
    loader = TrainLoader(FakeSet(), seed=3, batch_size=2, total_iter=12, workers="auto", timeout_s=30)
    assert loader._loader.num_workers == 2
    keys = [step[0].keys for step in loader]
    assert loader._loader.num_workers == 4
    loader.close()
    assert keys == [step[0][2] for step in run(FakeSet(), total_iter=12)]
    assert loader.news() == [
        "Data workers: 2 -> 4, as training waited for data 50% of 200 iterations.",
        "Buy more.",
    ]


@pytest.mark.parametrize(("usable", "world", "workers"), [(8, 1, 2), (8, 4, 2), (8, 8, 1), (1, 1, 1), (2, 8, 1)])
def test_automatic_workers_begin_with_two_where_there_are_cores(monkeypatch, usable, world, workers):
    monkeypatch.setattr("traiNNer.data.loader.cores", lambda: Cores(usable, usable))
    loader = TrainLoader(FakeSet(), seed=0, batch_size=1, total_iter=1, workers="auto", world=world)
    assert loader._loader.num_workers == workers


@pytest.mark.parametrize("workers", [0, 2])
def test_cost_of_samples_is_noted(workers):
    loader = TrainLoader(FakeSet(), seed=0, batch_size=2, total_iter=9, workers=workers)
    list(loader)
    loader.close()
    cost = loader._samples.cost()
    assert cost.samples == 18
    assert 0 < cost.worked <= cost.seconds * 1.5


def test_hanging_read_ends_the_run_and_is_named(tmp_path, monkeypatch):
    write_pairs(tmp_path, 4)
    dataset = PairedImageDataset(
        2, str(tmp_path / "lr"), str(tmp_path / "hr"), files=FileOptions(lq_size=8, cache="off")
    )
    dataset.open("train", "t")

    def read(path, *arguments):  # as from a network share that is gone
        return time.sleep(999) if str(path).endswith("lr/002.png") else read_image(path, *arguments)

    monkeypatch.setattr("traiNNer.data.datasets.image_files.read_image", read)
    text = ends(dataset, workers=2, timeout_s=2)
    assert text.startswith("No data for 2 s (worker ")
    assert f"reading {tmp_path}/lr/002.png" in text
    assert text.endswith("Is the disk or network share slow?")


def test_several_hanging_workers_are_ended_together(monkeypatch):
    alive, iterator = [], _MultiProcessingDataLoaderIter
    shut_down = iterator._shutdown_workers

    def watched(self):
        alive.append([worker.is_alive() for worker in self._workers])
        shut_down(self)

    monkeypatch.setattr(iterator, "_shutdown_workers", watched)
    faults = dict.fromkeys(range(10), lambda: time.sleep(999))
    text = ends(FakeSet(faults=faults), workers=3, timeout_s=2)
    assert all(f"worker {number} reading image" in text for number in range(3))
    ours = [states for states in alive if len(states) == 3]  # an earlier test's loader may be collected only now
    assert ours[0] == [False] * 3, "a polite request waits for one hanging worker after the other"


def test_image_work_before_the_fork_does_not_hang_the_workers():
    # The OpenCV thread pool of the main process is dead in a forked process.
    def convert():
        cv2.cvtColor(np.zeros((2000, 2000, 3), np.uint8), cv2.COLOR_BGR2HSV)

    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    convert()
    try:
        assert len(run(FakeSet(faults=dict.fromkeys(range(10), convert)), workers=2, timeout_s=60)) == 9
    finally:
        cv2.setNumThreads(before)


@needs_sessions
def test_workers_have_their_own_sessions_and_end_on_close():
    loader = TrainLoader(FakeSet(), seed=0, batch_size=1, total_iter=100, workers=2, timeout_s=30)
    next(iter(loader))
    processes = list(loader._iterator._workers)
    assert len(processes) == 2
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(os.getsid(p.pid) == os.getsid(0) for p in processes):
        time.sleep(0.01)
    assert {os.getsid(p.pid) for p in processes} == {p.pid for p in processes}
    loader.close()
    assert not any(process.is_alive() for process in processes)
    loader.close()


def test_restart_ends_the_first_workers():
    loader = TrainLoader(FakeSet(), seed=0, batch_size=1, total_iter=20, workers=1, timeout_s=30)
    first = next(iter(loader))[0].keys
    (worker,) = loader._iterator._workers
    assert next(iter(loader))[0].keys == first
    assert not worker.is_alive()
    loader.close()


def test_close_without_start_or_workers():
    loader = TrainLoader(FakeSet(), seed=0, batch_size=1, total_iter=2)
    loader.close()
    assert len(list(loader)) == 2
    loader.close()
    gc.collect()


@pytest.mark.parametrize("line", ["kept", "", None])
def test_dataset_decides_what_is_kept_before_workers_start(line):
    class Sharing(FakeSet):
        def share_cache(self, processes):
            self.processes = processes
            return line

    dataset = Sharing()
    loader = TrainLoader(dataset, seed=0, batch_size=1, total_iter=1, workers=3)
    assert dataset.processes == 3
    assert loader.about == (line or "")


def batch(*skipped):
    return Batch(torch.zeros(1), None, ("k",), skipped=skipped)


def test_damage_is_reported_once():
    counter = DamageCounter(FakeSet(1000))
    assert counter.count([batch(), batch("a.png (truncated PNG)")]) == ["Skipping damaged image a.png (truncated PNG)"]
    assert counter.count([batch("a.png (truncated PNG)")]) == []
    assert counter.count([batch("b.png (damaged)", "a.png (truncated PNG)")]) == [
        "Skipping damaged image b.png (damaged)"
    ]


def test_repeated_damage_in_one_step_is_reported_once():
    assert len(DamageCounter(FakeSet(1000)).count([batch("a", "a"), batch("a")])) == 1


def test_one_percent_is_the_limit():
    counter = DamageCounter(FakeSet(300))
    counter.count([batch("a", "b", "c")])
    with pytest.raises(DataError, match=r"4 of 300 images are damaged: a; b; c; d\. Mend or remove them\."):
        counter.count([batch("d")])


def test_strict_dataset_allows_none():
    counter = DamageCounter(FakeSet(1000, strict=True))
    assert counter.count([batch()]) == []
    with pytest.raises(DataError, match=r"1 of 1000 images are damaged: a\."):
        counter.count([batch("a")])


def test_long_list_is_truncated():
    with pytest.raises(DataError) as caught:
        DamageCounter(FakeSet(100)).count([batch(*(f"<{n}>" for n in range(30)))])
    assert "30 of 100" in str(caught.value)
    assert "<9>" in str(caught.value)
    assert "<10>" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_each_data_worker_is_started_once(workers):
    starts = {value for step in run(OpeningSet(), workers=workers) for value in np.ravel(step[0][0])}
    assert starts == {min(workers, 1)}


class Unpicklable(Exception):
    """Travels nowhere: a worker that sends it would seem to hang."""

    def __init__(self, first, second):
        super().__init__(first)
        self.lock = lambda: second


@pytest.mark.parametrize("workers", [0, 2])
def test_error_that_cannot_be_pickled_ends_the_run(workers):
    with pytest.raises((Unpicklable, RuntimeError), match="planted"):
        run(FakeSet(faults={5: fail(Unpicklable("planted", 2))}), workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("made", "words"),
    [({"lq": 1}, "dict instead of a Sample"), (Sample([1], None, "k"), "lq is list instead of an array")],
)
def test_sample_of_another_kind_names_dataset_and_image(workers, made, words):
    class Wrong(FakeSet):
        def sample(self, index, rng):
            return made

    assert ends(Wrong(1), workers=workers) == f"Wrong: {words} for image 0."


@pytest.mark.nightly
def test_memory_does_not_grow_in_ten_thousand_iterations(tmp_path):
    write_pairs(tmp_path, 40, size=(160, 160))
    files = FileOptions(lq_size=32, cache=str(tmp_path / "kept"))
    dataset = PairedImageDataset(2, str(tmp_path / "lr"), str(tmp_path / "hr"), files=files)
    dataset.open("train", "t")
    loader, sizes = TrainLoader(dataset, seed=0, batch_size=4, total_iter=10_001, workers=2), {}
    for iteration, _ in enumerate(loader):
        if iteration in (500, 10_000):
            processes = (os.getpid(), *(worker.pid for worker in loader._iterator._workers))
            sizes[iteration] = sum(resident(process) for process in processes)
    loader.close()
    assert sizes[10_000] <= 1.05 * sizes[500]
