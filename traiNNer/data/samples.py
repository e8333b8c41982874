"""What a data worker does for one sample, and what it notes of it in shared memory."""

import multiprocessing
import pickle
import time
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from typing import Any

from torch.utils.data import Dataset, get_worker_info

from traiNNer.batch import ImageSet, Sample
from traiNNer.data.order import sample_rng, sample_seed
from traiNNer.data.transfer import fault_of
from traiNNer.data.wait_watch import Cost
from traiNNer.errors import DataError, RunError
from traiNNer.utils.plugin_errors import data_error
from traiNNer.utils.plugin_files import import_files, imported_files

IDLE = -1
Draw = tuple[int, int, int]
"""Epoch, index and iteration of a sample."""


class Samples(Dataset):
    """The dataset as the torch loader sees it: (epoch, index, iteration) -> sample.

    A problem travels as a value, not as a traceback wrapped in text. Each worker notes in shared memory what it reads,
    so that a hang can be explained, and how long it took, so that waiting can.
    """

    def __init__(self, dataset: ImageSet, seed: int, workers: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self._is_started = False
        self.reading: Any = multiprocessing.RawArray("q", [IDLE] * workers) if workers else []
        self.spent: Any = multiprocessing.RawArray("d", 3 * workers) if workers else [0.0] * 3

    def __getitem__(self, draw: Draw) -> Sample | BaseException:
        epoch, index, iteration = draw
        place = index % len(self.dataset)
        worker = get_worker_info()
        if worker:
            self.reading[worker.id] = place
        started, worked = time.perf_counter(), time.thread_time()
        try:
            if worker and not self._is_started:
                self.dataset.start_worker()
                self._is_started = True
            sample = self.dataset.sample_at(place, sample_rng(self.seed, epoch, index), iteration)
            if fault := fault_of(sample):
                return DataError(f"{type(self.dataset).__name__}: {fault} for {self.dataset.describe(place)}.")
            return replace(sample, seed=sample_seed(self.seed, epoch, index))
        except (Exception, SystemExit) as error:
            return data_error(error, lambda: self.dataset.describe(place))
        finally:
            begin = 3 * worker.id if worker else 0
            for number, value in enumerate((1, time.perf_counter() - started, time.thread_time() - worked)):
                self.spent[begin + number] += value
            if worker:
                self.reading[worker.id] = IDLE

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to a worker that is not forked: it has to know the plugins before their dataset can be rebuilt.

        Raises:
            DataError: the dataset cannot be pickled.
        """
        try:
            state = bytes(ForkingPickler.dumps(self.__dict__))
        except Exception as error:
            raise DataError(
                f"{type(self.dataset).__name__} cannot be sent to data workers ({error}). "
                "num_worker_per_gpu: 0 reads in the main process."
            ) from None
        return _rebuilt, (imported_files(), state)

    def cost(self) -> Cost:
        """Return what all samples so far took."""
        return Cost(*(sum(self.spent[number::3]) for number in range(3)))

    def forget_reading(self) -> None:
        """Note that nothing is read, as where a worker died in the middle of it."""
        for worker in range(len(self.reading)):
            self.reading[worker] = IDLE

    def busy(self) -> dict[int, int]:
        """Return which worker reads which image."""
        return {worker: place for worker, place in enumerate(self.reading) if place != IDLE}

    def busy_in_words(self) -> str:
        """Return what the workers are reading: `worker 1 reading d/x.png`."""
        reading = self.busy().items()
        return ", ".join(f"worker {worker} reading {self.dataset.describe(place)}" for worker, place in reading)


class _Unusable(Dataset):
    """What stands in a worker for a dataset that cannot be rebuilt there: its first sample reports why."""

    def __init__(self, cause: str) -> None:
        self.cause = cause

    def __getitem__(self, _: Draw) -> RunError:
        return DataError(f"A data worker cannot load the dataset: {self.cause}")


def _rebuilt(plugins: list[tuple[str, str]], state: bytes) -> Dataset:
    try:
        import_files(plugins)
        samples = Samples.__new__(Samples)
        samples.__dict__.update(pickle.loads(state))
    except (Exception, SystemExit) as error:  # what a process raises before it works is only printed
        return _Unusable(f"{type(error).__name__}: {error}")
    return samples
