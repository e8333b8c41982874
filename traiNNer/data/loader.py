"""From a dataset to the micro-batches of every iteration: the same stream for any number of data workers."""

import multiprocessing
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from traiNNer.batch import Batch, BatchPlan, ImageSet, Sample
from traiNNer.data.order import at, sample_rng, sample_seed
from traiNNer.data.transfer import PIPE, Augment, Parcel, collate, collate_to_send, fault_of
from traiNNer.data.worker import kill, start_worker
from traiNNer.errors import DataError, RunError
from traiNNer.utils.limits import limit_error, require_handles
from traiNNer.utils.plugin_errors import data_error
from traiNNer.utils.plugin_files import import_files, imported_files
from traiNNer.utils.shared_memory import refusal

DAMAGED_ALLOWED = 0.01
IDLE = -1
PREFETCH = 4  # micro-batches that each data worker reads ahead
LOOK_EVERY_S = 2.0
HANDLES, HANDLES_PER_WORKER = 16, 4  # open files: pipes of the queues, a watch on each worker, images on their way
GRACE_S = 2.0  # for workers to finish what they read when a run ends
DIED = "Data worker died (killed, maybe out of RAM). Lower num_worker_per_gpu, cache_mb or batch_size_per_gpu."
NO_WORKERS = (
    "Data workers cannot be started ({cause} in /dev/shm): the main process reads the images, as with "
    "num_worker_per_gpu: 0. Give the container more shared memory, e.g. docker run --shm-size=2g."
)
FAILED = "Data worker ended with an error, which it has printed above."
# A forked worker starts in milliseconds and knows the plugins; other systems cannot fork safely.
START_METHOD = "fork" if sys.platform == "linux" else None
Draw = tuple[int, int, int]


class _Samples(Dataset):
    """The dataset as the torch loader sees it: (epoch, index, iteration) -> sample.

    A problem travels as a value, not as a traceback wrapped in text. Each worker notes in shared memory what it reads,
    so that a hang can be explained.
    """

    def __init__(self, dataset: ImageSet, seed: int, workers: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self._is_started = False
        self.reading: Any = multiprocessing.RawArray("q", [IDLE] * workers) if workers else []

    def __getitem__(self, draw: Draw) -> Sample | BaseException:
        epoch, index, iteration = draw
        place = index % len(self.dataset)
        worker = get_worker_info()
        if worker:
            self.reading[worker.id] = place
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
        samples = _Samples.__new__(_Samples)
        samples.__dict__.update(pickle.loads(state))
    except (Exception, SystemExit) as error:  # what a process raises before it works is only printed
        return _Unusable(f"{type(error).__name__}: {error}")
    return samples


class _Schedule:
    """The draws of every micro-batch from an iteration on: a pure function of its parameters."""

    def __init__(self, loader: "TrainLoader") -> None:
        self.loader = loader

    def __len__(self) -> int:
        return (self.loader.total_iter - self.loader.start_iteration) * self.loader.accum_iter

    def __iter__(self) -> Iterator[list[Draw]]:
        loader = self.loader
        for iteration in range(loader.start_iteration, loader.total_iter):
            size, before = loader.plan.size(iteration), loader.plan.before(iteration)
            for micro_batch in range(loader.accum_iter):
                place = (before * loader.accum_iter + micro_batch * size) * loader.world + loader.rank * size
                yield [(*at(loader.seed, loader.length, place + image), iteration) for image in range(size)]


class TrainLoader:
    """Iterates over the training: one tuple of `accum_iter` micro-batches per iteration, B, [T,] H, W, 3 integers."""

    def __init__(
        self,
        dataset: ImageSet,
        *,
        seed: int,
        batch_size: int | BatchPlan,
        total_iter: int,
        accum_iter: int = 1,
        workers: int = 0,
        pin_memory: bool = False,
        enlarge_ratio: int = 1,
        start_iteration: int = 0,
        rank: int = 0,
        world: int = 1,
        timeout_s: float = 120,
        start_method: str | None = START_METHOD,
        augment: Augment | None = None,
    ) -> None:
        self.seed = seed
        self.plan = batch_size if isinstance(batch_size, BatchPlan) else BatchPlan(batch_size)
        self.accum_iter = accum_iter
        self.notices: list[str] = []
        self._told = 0
        workers, prefetch = self._bound(workers) if isinstance(batch_size, BatchPlan) else (workers, PREFETCH)
        if workers and (cause := refusal(workers, start_method)):
            self.notices.append(NO_WORKERS.format(cause=cause))
            workers = 0
        self.start_iteration = start_iteration
        self.total_iter = total_iter
        self.rank = rank
        self.world = world
        self.length = len(dataset) * enlarge_ratio
        self.timeout_s = timeout_s
        # A separate generator: the loader must not draw from the one that the network may use.
        generator = torch.Generator().manual_seed(seed)
        options: dict[str, Any] = {}
        if workers:
            # torch looks whether its workers live when this time is over, so it is short; `_next` waits on.
            options = {
                "timeout": min(LOOK_EVERY_S, timeout_s),
                "worker_init_fn": start_worker,
                "prefetch_factor": prefetch,
                "multiprocessing_context": start_method,
            }
        dataset.share_cache(workers)
        self._samples = _Samples(dataset, seed, workers)
        with warnings.catch_warnings():
            # More readers than cores is the user's choice, and torch says it twice.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            self._loader = DataLoader(
                self._samples,
                batch_sampler=_Schedule(self),  # pyright: ignore[reportArgumentType]
                num_workers=workers,
                collate_fn=partial(collate_to_send if workers else collate, augment=augment),
                pin_memory=pin_memory,
                generator=generator,
                **options,
            )
        self._iterator: Any = None

    def _bound(self, workers: int) -> tuple[int, int]:
        """Return the data workers and how many micro-batches each reads ahead: in all no more than the plan's lead."""
        most = self.plan.lead * self.accum_iter
        if workers > most:
            self.notices.append(
                f"Only {most} of {workers} data workers are used: more would read further ahead than a change of the "
                "batch size is ordered"
            )
            workers = most
        return workers, min(PREFETCH, most // max(1, workers))

    def __iter__(self) -> Iterator[tuple[Batch, ...]]:
        """Yield the micro-batches of one iteration after the other.

        Raises:
            DataError: a data worker died, hangs or cannot start, or an image set cannot be read.
        """
        self.close()
        with warnings.catch_warnings():
            # Python 3.12 warns of every fork beside threads; a worker uses nothing that such a thread may hold.
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            with _no_watch_by_signal():
                self._iterator = self._started()
        for _ in range(self.start_iteration, self.total_iter):
            yield tuple(self._next() for _ in range(self.accum_iter))

    def _started(self) -> Any:
        """Start the data workers. Raises what `limit_error` makes of a failure."""
        if workers := self._loader.num_workers:
            require_handles(HANDLES + HANDLES_PER_WORKER * workers)
        try:
            return iter(self._loader)
        except OSError as error:
            raise limit_error(error) or error from None

    def _next(self) -> Batch:
        started = time.monotonic()
        while True:
            try:
                batch = next(self._iterator)
            except RuntimeError as error:
                if "timed out" in str(error) and time.monotonic() - started < self.timeout_s:
                    continue
                raise self._explained(error) from None
            except (OSError, EOFError) as error:
                # A worker keeps the memory of its finished batches: they are gone with it.
                if self._has_dead_worker():
                    raise DataError(DIED) from None
                raise limit_error(error) or error from None
            if isinstance(batch, BaseException):
                raise batch
            if isinstance(batch, Parcel):
                self._tell_once(PIPE)
                return batch.unpacked()
            return batch

    def news(self) -> list[str]:
        """Return the notices since it was last asked."""
        news, self._told = self.notices[self._told :], len(self.notices)
        return news

    def _tell_once(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)

    def _has_dead_worker(self) -> bool:
        """Tell whether a worker is dead; one whose connections are closed already may need a moment to be."""
        return bool(wait([worker.sentinel for worker in getattr(self._iterator, "_workers", ())], LOOK_EVERY_S))

    def _explained(self, error: RuntimeError) -> RunError | RuntimeError:
        if limit := limit_error(error):
            return limit
        text = str(error)
        if "exited unexpectedly" in text or "is killed by signal" in text:
            codes = [worker.exitcode for worker in getattr(self._iterator, "_workers", ())]
            return DataError(FAILED if 1 in codes else DIED)  # Python's exit code after an exception
        if "timed out" in text:
            busy = self._samples.busy_in_words() or "all readers idle"
            # A hung reader would not receive the polite request of `close`, which then waits for each in turn.
            kill(getattr(self._iterator, "_workers", ()))
            return DataError(f"No data for {self.timeout_s:g} s ({busy}). Is the disk or network share slow?")
        return error

    def _busy(self, workers: Sequence[Any]) -> list[Any]:
        return [workers[place] for place in self._samples.busy() if place < len(workers) and workers[place].is_alive()]

    def close(self) -> None:
        """End the data workers."""
        workers = list(getattr(self._iterator, "_workers", ()))
        deadline = time.monotonic() + GRACE_S
        while (busy := self._busy(workers)) and time.monotonic() < deadline:
            time.sleep(0.01)
        kill(busy)  # torch would wait for each that hangs in turn
        shutdown = getattr(self._iterator, "_shutdown_workers", None)
        if shutdown:
            shutdown()
        kill(worker for worker in workers if worker.is_alive())  # one that hangs in a read
        self._iterator = None


@contextmanager
def _no_watch_by_signal() -> Iterator[None]:
    """Keep torch from raising at a worker's death wherever the main process is, even in the middle of a step.

    Its check of the workers while it waits for a batch finds the same, between two iterations.
    """
    number = getattr(signal, "SIGCHLD", None)
    before = None if number is None else signal.getsignal(number)
    yield
    if number is not None and before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(number, before)


class DamageCounter:
    """Counts the damaged images that were replaced; too many end the run."""

    def __init__(self, dataset: ImageSet) -> None:
        self.total = len(dataset)
        self.strict = dataset.strict
        self.seen: dict[str, None] = {}

    def count(self, batches: Sequence[Batch]) -> list[str]:
        """Return a warning for every damaged image seen for the first time.

        Raises:
            DataError: more than 1 % of the set is damaged, or one image in a `strict` set.
        """
        new = dict.fromkeys(text for batch in batches for text in batch.skipped if text not in self.seen)
        self.seen.update(new)
        if self.seen and (self.strict or len(self.seen) > DAMAGED_ALLOWED * self.total):
            names = "; ".join(list(self.seen)[:10])
            raise DataError(f"{len(self.seen)} of {self.total} images are damaged: {names}. Mend or remove them.")
        return [f"Skipping damaged image {text}" for text in new]
