"""What a small or read-only /dev/shm leaves of data workers."""

import multiprocessing

import pytest

from traiNNer.data.worker_context import WorkerContext
from traiNNer.utils.shared_memory import refusal, semaphores_for


def test_usual_machine_refuses_nothing():
    assert refusal(2) is None


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_loader_needs_no_more_semaphores_than_are_tried(monkeypatch):
    from torch.utils.data import DataLoader

    made = []
    real = multiprocessing.synchronize.SemLock.__init__
    monkeypatch.setattr(
        multiprocessing.synchronize.SemLock, "__init__", lambda self, *a, **k: made.append(1) or real(self, *a, **k)
    )
    for workers in (1, 3):
        made.clear()
        iterator = iter(DataLoader(range(4), num_workers=workers, multiprocessing_context=WorkerContext("fork")))  # pyright: ignore[reportArgumentType]
        iterator._shutdown_workers()
        assert 0 < len(made) <= semaphores_for(workers)


@pytest.mark.parametrize("number", [28, 30])
def test_refusal_has_the_words_of_the_system(monkeypatch, number):
    import os

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", fail)
    assert refusal(2) == os.strerror(number).lower()
