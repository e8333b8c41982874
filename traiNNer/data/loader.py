"""From a dataset to the micro-batches of every iteration: the same stream for any number of data workers."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader

from traiNNer.batch import Batch, BatchPlan, ImageSet
from traiNNer.data.order import at
from traiNNer.data.samples import Draw, Samples
from traiNNer.data.transfer import PIPE, Augment, Parcel, collate, collate_to_send
from traiNNer.data.wait_watch import Verdict, WaitWatch
from traiNNer.data.worker import kill, start_worker
from traiNNer.data.worker_context import WorkerContext
from traiNNer.errors import DataError
from traiNNer.utils.host import cores
from traiNNer.utils.limits import limit_error, require_handles
from traiNNer.utils.shared_memory import refusal

DAMAGED_ALLOWED = 0.01
PREFETCH = 4  # micro-batches that each data worker reads ahead
LOOK_EVERY_S = 2.0
HANDLES, HANDLES_PER_WORKER = 16, 4  # open files: pipes of the queues, a watch on each worker, images on their way
GRACE_S = 2.0  # for workers to finish what they read when a run ends
DIED = "Data worker died (killed, maybe out of RAM). Lower num_worker_per_gpu or batch_size_per_gpu."
RESTARTED = (
    "A data worker died (killed, maybe out of RAM{reading}): all were started again at the same sample of iteration "
    "{iteration:,}, which changes no result. The run ends at the {most}th time, or the second at one iteration."
)
MOST_DEATHS = 5
AUTO, AUTO_START = "auto", 2
MORE = "Data workers: {before} -> {now}, as training waited for data {share:.0%} of {count} iterations."
NO_WORKERS = (
    "Data workers cannot be started ({cause} in /dev/shm): the main process reads the images, as with "
    "num_worker_per_gpu: 0. Give the container more shared memory, e.g. docker run --shm-size=2g."
)
FAILED = "Data worker ended with an error, which it has printed above."
# A forked worker starts in milliseconds and knows the plugins; other systems cannot fork safely.
START_METHOD = "fork" if sys.platform == "linux" else None


class _Schedule:
    """The draws of every micro-batch from an iteration on: a pure function of its parameters."""

    def __init__(self, loader: "TrainLoader") -> None:
        self.loader = loader

    def __len__(self) -> int:
        begin, skipped = self.loader.begin
        return (self.loader.total_iter - begin) * self.loader.accum_iter - skipped

    def __iter__(self) -> Iterator[list[Draw]]:
        loader = self.loader
        begin, skipped = loader.begin
        for iteration in range(begin, loader.total_iter):
            size, before = loader.plan.size(iteration), loader.plan.before(iteration)
            for micro_batch in range(skipped if iteration == begin else 0, loader.accum_iter):
                place = (before * loader.accum_iter + micro_batch * size) * loader.world + loader.rank * size
                yield [(*at(loader.seed, loader.length, place + image), iteration) for image in range(size)]


class TrainLoader:
    """Iterates over the training: one tuple of `accum_iter` micro-batches per iteration, B, [T,] H, W, 3 integers.

    A data worker that dies is started again; the stream does not depend on it. With `workers="auto"` two are started,
    and more where training waits for data and there are cores for them.
    """

    def __init__(
        self,
        dataset: ImageSet,
        *,
        seed: int,
        batch_size: int | BatchPlan,
        total_iter: int,
        accum_iter: int = 1,
        workers: int | Literal["auto"] = 0,
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
        self.start_iteration = start_iteration
        self.total_iter = total_iter
        self.rank = rank
        self.world = world
        self.length = len(dataset) * enlarge_ratio
        self.timeout_s = timeout_s
        self.begin = (start_iteration, 0)
        self._told = 0
        self._dataset, self._pin_memory, self._augment, self._start_method = dataset, pin_memory, augment, start_method
        self._is_growing = isinstance(batch_size, BatchPlan)
        self._deaths: list[tuple[int, int]] = []
        self._cores = max(1, cores().usable // world)
        self._watch = WaitWatch(dataset.relief, self._cores, is_auto=workers == AUTO)
        workers = self._usable(min(AUTO_START, self._cores) if workers == AUTO else workers)
        self.about = dataset.share_cache(workers) or ""
        self._build(workers)
        self._iterator: Any = None

    def _usable(self, workers: int) -> int:
        if workers and (cause := refusal(workers, self._start_method)):
            self._tell_once(NO_WORKERS.format(cause=cause))
            return 0
        return workers

    def _build(self, workers: int) -> None:
        """Set up the samples and torch's loader for so many data workers."""
        workers, prefetch = self._bound(workers) if self._is_growing else (workers, PREFETCH)
        self._samples = Samples(self._dataset, self.seed, workers)
        options: dict[str, Any] = {}
        if workers:
            # torch looks whether its workers live when this time is over, so it is short; `_next` waits on.
            options = {
                "timeout": min(LOOK_EVERY_S, self.timeout_s),
                "worker_init_fn": start_worker,
                "prefetch_factor": prefetch,
                "multiprocessing_context": WorkerContext(self._start_method),
            }
        with warnings.catch_warnings():
            # More readers than cores is the user's choice, and torch says it twice.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            self._loader = DataLoader(
                self._samples,
                batch_sampler=_Schedule(self),  # pyright: ignore[reportArgumentType]
                num_workers=workers,
                collate_fn=partial(collate_to_send if workers else collate, augment=self._augment),
                pin_memory=self._pin_memory,
                # A separate generator: the loader must not draw from the one that the network may use.
                generator=torch.Generator().manual_seed(self.seed),
                **options,
            )

    def _bound(self, workers: int) -> tuple[int, int]:
        """Return the data workers and how many micro-batches each reads ahead: in all no more than the plan's lead."""
        most = self.plan.lead * self.accum_iter
        if workers > most:
            self._tell_once(
                f"Only {most} of {workers} data workers are used: more would read further ahead than a change of the "
                "batch size is ordered"
            )
            workers = most
        return workers, min(PREFETCH, most // max(1, workers))

    def __iter__(self) -> Iterator[tuple[Batch, ...]]:
        """Yield the micro-batches of one iteration after the other.

        Raises:
            DataError: data workers die again and again, hang or cannot start, or an image set cannot be read.
        """
        self._start_at(self.start_iteration, 0)
        for iteration in range(self.start_iteration, self.total_iter):
            started = time.perf_counter()
            batches = tuple(self._micro_batch(iteration, place) for place in range(self.accum_iter))
            ready = time.perf_counter()
            yield batches
            seconds = (ready - started, time.perf_counter() - ready)
            verdict = self._watch.note(*seconds, self._samples.cost(), self._loader.num_workers)
            if verdict and verdict.workers > self._loader.num_workers and iteration + 1 < self.total_iter:
                self._grow(verdict, iteration + 1)
            elif verdict and verdict.advice:
                self._tell_once(verdict.advice)

    def _grow(self, verdict: Verdict, iteration: int) -> None:
        before = self._loader.num_workers
        self.close()
        self._build(self._usable(verdict.workers))
        now = self._loader.num_workers
        self.notices.append(MORE.format(before=before, now=now, share=verdict.share, count=verdict.count))
        self._start_at(iteration, 0)

    def _micro_batch(self, iteration: int, place: int) -> Batch:
        """Return a micro-batch of an iteration; where a data worker died meanwhile, begin there anew."""
        while True:
            try:
                return self._next()
            except _WorkerDied:
                self._deaths.append((iteration, place))
                if len(self._deaths) >= MOST_DEATHS or self._deaths.count((iteration, place)) > 1:
                    raise DataError(DIED) from None
                reading = self._samples.busy_in_words()
                self.notices.append(
                    RESTARTED.format(
                        reading=f"; {reading}" if reading else "", iteration=iteration + 1, most=MOST_DEATHS
                    )
                )
                self._start_at(iteration, place)

    def _start_at(self, iteration: int, place: int) -> None:
        """Start the data workers, anew if they run, at a micro-batch of an iteration."""
        self.close()
        self.begin = (iteration, place)
        self._samples.forget_reading()
        with warnings.catch_warnings():
            # Python 3.12 warns of every fork beside threads; a worker uses nothing that such a thread may hold.
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            with _no_watch_by_signal():
                self._iterator = self._started()

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
                # A worker keeps the memory of its finished batches: they are gone with it, as is half a message.
                if isinstance(error, EOFError) or self._has_dead_worker():
                    raise _WorkerDied from None
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

    def _explained(self, error: RuntimeError) -> Exception:
        if limit := limit_error(error):
            return limit
        text = str(error)
        if "exited unexpectedly" in text or "is killed by signal" in text:
            codes = [worker.exitcode for worker in getattr(self._iterator, "_workers", ())]
            return DataError(FAILED) if 1 in codes else _WorkerDied()  # Python's exit code after an exception
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


class _WorkerDied(Exception):
    """A data worker was killed."""


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
