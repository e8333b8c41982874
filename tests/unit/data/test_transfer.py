"""Batches reach the run whatever room shared memory has."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from traiNNer.batch import Batch, ImageSet, Sample
from traiNNer.data.loader import TrainLoader
from traiNNer.data.transfer import PIPE, Parcel, collate, collate_to_send
from traiNNer.errors import DataError


class Large(ImageSet):
    """Crops of 64 x 64 pixels with a random corner."""

    def __len__(self):
        return 10

    def sample(self, index, rng):
        lq = np.full((64, 64, 3), index, np.uint16)
        lq[0, 0] = rng.integers(0, 256, 3)
        return Sample(lq, None, f"key{index}")

    def whole(self, index):
        raise NotImplementedError

    def fingerprint(self):
        return {}


def run(workers):
    """Return the stream of 20 iterations and what was told."""
    loader = TrainLoader(Large(), seed=3, batch_size=8, total_iter=20, workers=workers, timeout_s=60)
    try:
        return [(batch.lq.sum().item(), batch.keys) for (batch,) in loader], loader.news()
    finally:
        loader.close()


COMPARE = """
import sys
sys.path.insert(0, sys.argv[1])
from test_transfer import run

expected, _ = run(0)
found, news = run(2)
assert found == expected
print(*news, sep="\\n")
"""


def samples(*sides):
    made = (np.arange(side * side * 3, dtype=np.uint16).reshape(side, side, 3) for side in sides)
    return [Sample(image, None, f"k{place}", skipped=("x",)) for place, image in enumerate(made)]


def full(*_):
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


@pytest.mark.parametrize("augment", [None, lambda batch: batch.map(torch.clone)])
def test_batch_is_in_shared_memory_when_it_leaves(augment):
    batch = collate_to_send(samples(4, 4), augment)
    assert isinstance(batch, Batch)
    assert batch.lq is not None
    assert batch.lq.is_shared()
    np.testing.assert_array_equal(batch.lq.numpy(), [sample.lq for sample in samples(4, 4)])


def test_images_are_written_once_into_shared_memory(monkeypatch):
    monkeypatch.setattr(Tensor, "copy_", full)  # as moving a tensor there would call it
    assert isinstance(collate_to_send(samples(4, 4)), Batch)


def test_full_memory_sends_the_same_batch_as_arrays(monkeypatch):
    expected = collate(samples(4, 4))
    monkeypatch.setattr("traiNNer.data.transfer.new_shared", full)
    monkeypatch.setattr(Tensor, "share_memory_", full)
    parcel = collate_to_send(samples(4, 4))
    assert isinstance(parcel, Parcel)
    assert parcel.pin_memory() is parcel
    batch = parcel.unpacked()
    assert isinstance(expected, Batch)
    assert torch.equal(batch.lq, expected.lq)
    assert (batch.gt, batch.keys, batch.skipped) == (None, ("k0", "k1"), ("x", "x"))


def test_error_is_sent_as_it_is():
    assert isinstance(collate_to_send(samples(4, 5)), DataError)


def test_stream_through_the_pipe_is_the_same_and_told_once(monkeypatch):
    expected, _ = run(0)
    monkeypatch.setattr("traiNNer.data.transfer.new_shared", full)
    monkeypatch.setattr(Tensor, "share_memory_", full)
    found, news = run(2)
    assert found == expected
    assert len(news) == 1
    assert "/dev/shm is too small for the batches of the data workers: some come through a pipe" in news[0]


def test_without_semaphores_the_main_process_reads(monkeypatch):
    monkeypatch.setattr("traiNNer.data.loader.refusal", lambda *_: "read-only file system")
    monkeypatch.setattr("multiprocessing.RawArray", full)  # it is a file in shared memory
    loader = TrainLoader(Large(), seed=3, batch_size=2, total_iter=3, workers=2)
    assert len(list(loader)) == 3
    assert loader._loader.num_workers == 0
    (said,) = loader.news()
    assert said.startswith("Data workers cannot be started (read-only file system in /dev/shm): the main process reads")
    assert loader.news() == []


@pytest.mark.nightly
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a file system")
@pytest.mark.parametrize(
    ("options", "said"),
    [("size=256k", PIPE), ("size=64k", "no space left"), ("size=4k", "no space left"), ("size=9m,ro", "read-only")],
)
def test_small_shared_memory_gives_the_same_stream(options, said):
    here = Path(__file__).parent
    script = f"mount -t tmpfs -o {options} tmpfs /dev/shm && exec {sys.executable} - {here}"
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", script], check=False, input=COMPARE, capture_output=True, text=True, timeout=120
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no right to mount")
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
