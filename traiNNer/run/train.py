"""A training run from checked options to its end: preparation, start or resume, and how it ended in words."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter

from torch import nn

from traiNNer.batch import ImageSet
from traiNNer.config.load import Loaded
from traiNNer.config.options import TrainOptions
from traiNNer.data.loader import DamageCounter
from traiNNer.engine.checkpoint import ownership, resume
from traiNNer.engine.checkpoint.exactness import exactness_warnings, incomparable_scores, refuse_mismatch
from traiNNer.engine.checkpoint.store import SUPERSEDED, CheckpointStore
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.log.trackers import check_trackers
from traiNNer.engine.run_folder import FolderLock, RunFolder, cause, check_writable, create, run_folder
from traiNNer.engine.runtime.compiling import compiler_errors
from traiNNer.engine.runtime.out_of_memory import is_out_of_memory
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.engine.signals import StopSignals
from traiNNer.engine.trainer import Trainer
from traiNNer.errors import CannotWrite, OutOfMemory, TrainingDiverged
from traiNNer.models.protocol import MAIN
from traiNNer.report.at_end import report_at_end
from traiNNer.run.assemble import assemble
from traiNNer.run.build import (
    build_loader,
    build_networks,
    build_schedule,
    network_choices,
    prepare_demo_if_named,
)
from traiNNer.run.overlap import validation_overlap
from traiNNer.run.pairs import different_pictures
from traiNNer.run.preflight import check_losses, check_metrics, check_model, check_network
from traiNNer.run.pretrained import load_all_given_weights
from traiNNer.run.provenance import provenance
from traiNNer.run.sets import open_sets
from traiNNer.run.trackers import follow
from traiNNer.utils.files import write_bytes_atomic


def train(
    loaded: Loaded[TrainOptions],
    book: Logbook,
    *,
    check: bool,
    overwrite: bool,
    clock: Callable[[], float] | None = None,
) -> str:
    """Train as the options say, or only check them.

    Args:
        loaded: the options.
        book: the log.
        check: whether to check only.
        overwrite: whether to start anew where there is a run.
        clock: seconds since the program started; by default since now.

    Returns:
        How it ended.
    """
    started = perf_counter()
    clock = clock or (lambda: perf_counter() - started)
    options = loaded.options
    runtime, notes = start_runtime(options, joins=True)
    book.speak_for(runtime.rank)
    try:
        book.warn_all([*loaded.warnings, *notes])
        book.info_all(loaded.notices(check))
        runtime.on_main(lambda: prepare_demo_if_named(options, book))
        sets = open_sets(options, book)
        # The files are the same for every rank, and reading them once is enough.
        book.warn_all(runtime.on_main(lambda: [*different_pictures(sets), *validation_overlap(sets)]))
        networks = build_networks(options)
        check_network(networks[MAIN], options, sets)
        check_losses(options, sets["train"])
        check_model(options, networks, sets["train"])
        for name in networks:
            build_schedule(options, name)  # raises for options that do not fit each other
        book.warn_all(check_metrics(options, sets))
        check_trackers(options.logger)
        folder = run_folder(options)
        check_writable(folder)
        ownership.refuse_foreign(folder)
        if options.path.resume_state:
            resume.refuse_other_files(Path(options.path.resume_state).expanduser())
        book.warn_all(resume.check_resume_models(options, folder, overwrite))
        if resume.is_fresh(options, folder, overwrite):
            load_all_given_weights(networks, options, book)
        if check:
            book.console.print(loaded.effective())
            return "checked: options, data and shapes are in order"
        with StopSignals() as signals:
            return _train_in(folder, loaded, runtime, networks, sets, book, signals, overwrite, clock)
    finally:
        runtime.close()


def _train_in(
    folder: RunFolder,
    loaded: Loaded,
    runtime: Runtime,
    networks: dict[str, nn.Module],
    sets: dict[str, ImageSet],
    book: Logbook,
    signals: StopSignals,
    overwrite: bool,
    clock: Callable[[], float],
) -> str:
    options: TrainOptions = loaded.options
    resume.refuse_contradiction(options, folder, overwrite)
    with ExitStack() as held:
        lock = FolderLock(folder.root)
        runtime.on_main(lambda: _claim(folder, lock, overwrite, held, book))
        store = CheckpointStore(folder, options.logger.save_checkpoint_format, options.logger.keep_last, lock)
        start = resume.agree_on_start(runtime, folder, partial(_decide, options, folder, store, overwrite))
        trainer = assemble(options, folder, runtime, networks, sets, book, signals, store, clock)
        if start.restored:
            refuse_mismatch(start.restored.state["identity"], trainer.facts["identity"])
        runtime.on_main(partial(_open_files, folder, loaded, store, start, book))
        _begin(trainer, start, sets["train"], book)
        tell = partial(report_at_end, folder, book) if options.logger.report and runtime.is_main else lambda _: None
        try:
            ended = _run(trainer, sets["train"])
        except TrainingDiverged as error:
            tell(str(error))
            raise
        tell(ended)
        return ended


def _claim(folder: RunFolder, lock: FolderLock, overwrite: bool, held: ExitStack, book: Logbook) -> None:
    """Make the run's folder and lock it until `held` is closed; an old run is set aside where that is wanted."""
    try:
        if overwrite and folder.root.exists():
            with FolderLock(folder.root):
                book.info(f"--overwrite: the old run is kept as {resume.set_aside(folder)}")
        create(folder)
        held.enter_context(lock)
    except OSError as error:
        raise CannotWrite(f"Cannot write to {folder.root} ({cause(error)}).") from None


def _decide(options: TrainOptions, folder: RunFolder, store: CheckpointStore, overwrite: bool) -> resume.Start:
    try:
        return resume.decide_start(options, folder, store, overwrite)
    except OSError as error:
        raise CannotWrite(f"Cannot rename files in {folder.root} ({cause(error)}).") from None


def _open_files(folder: RunFolder, loaded: Loaded, store: CheckpointStore, start: resume.Start, book: Logbook) -> None:
    iteration = start.iteration
    try:
        ownership.claim(folder)
        store.remove_leftovers()
        orphans = [path.name for path in store.unrecorded_weights()]
        later = ", ".join(str(found) for found in reversed(store.supersede_after(iteration)))
        if later:
            book.warn(f"The run continues from {iteration:,}; its later states ({later}) are kept as *{SUPERSEDED}.")
        if orphans:
            more = f" and {len(orphans) - 4} more" if len(orphans) > 4 else ""
            book.warn(
                f"{folder.models} has weights of no checkpoint: {', '.join(orphans[:4])}{more}. They are kept until "
                "the run writes files of the same names; delete them if you do not need them."
            )
        book.open(folder, loaded.options.logger.use_tb_logger, iteration)
        write_bytes_atomic(folder.root / "options.yml", loaded.text.encode())
        write_bytes_atomic(folder.root / "resolved.yml", loaded.effective().encode())
    except OSError as error:
        raise CannotWrite(f"Cannot write to {error.filename or folder.root} ({cause(error)}).") from None


def _begin(trainer: Trainer, start: resume.Start, train_set: ImageSet, book: Logbook) -> None:
    options, facts = trainer.options, trainer.facts
    book.info(trainer.runtime.about)
    if trainer.runtime.use_compile:
        book.info("use_compile: the first iteration and the first validation compile the network, often for minutes.")
    book.warn_all(start.warnings)
    for name, choice in network_choices(options).items():
        trained = sum(parameter.numel() for parameter in trainer.training.learners[name].parameters)
        images = f"; {len(train_set):,} images{_named(options)}" if name == MAIN else ""
        book.info(f"{choice.type} {options.scale}x: {trained:,} trained parameters{images}")
    if start.restored:
        changes = exactness_warnings(start.restored.state, facts["environment"], facts["stream"])
        book.warn_all(changes)
        for key in ("pretrain_network_g", "pretrain_network_d"):
            if getattr(options.path, key):
                book.info(f"path.{key} is not used: the run continues with the weights of its checkpoint.")
        trainer.restore(start.restored)
        if trainer.runtime.is_main:
            _keep_comparable_best(trainer, start)
        exact = "" if changes else " (exact)"
        book.info(f"Resuming {options.name} at iteration {trainer.iteration:,}{exact}.")
    if trainer.runtime.is_main:
        follow(options, trainer.saver.store.folder.root, book)
    about = {"total_iter": trainer.total, "seed": options.manual_seed, **provenance(facts["environment"])}
    book.event("run_started", trainer.iteration, about)


def _named(options: TrainOptions) -> str:
    name = options.datasets["train"].name
    return f" ({name})" if name else ""


def _keep_comparable_best(trainer: Trainer, start: resume.Start) -> None:
    """Keep the best scores that later ones can be compared with; weights of the others are set aside."""
    best, store = trainer.scorer.best, trainer.saver.store
    before = start.restored.state["stream"] if start.restored else {}
    other = incomparable_scores(before, trainer.facts["stream"], best.scores)
    store.keep_best_until(-1, other)
    best.forget(other)
    best.forget(store.keep_best_until(start.iteration, best.directions))
    if other:
        trainer.logbook.warn(
            f"The best {', '.join(other)} so far came from another validation and cannot be compared: the next "
            f"validation counts as the best. Earlier best weights are kept as *{SUPERSEDED}."
        )


def _run(trainer: Trainer, train_set: ImageSet) -> str:
    choice, options, runtime = trainer.options.datasets["train"], trainer.options, trainer.runtime
    done = f"{trainer.iteration:,}/{trainer.total:,}"
    stop = trainer.stop
    if stop and trainer.iteration < trainer.total and not trainer.has_pending_validation():
        trainer.leave_early()
        return (
            f"finished: {done} (stopped early before: {stop.reason}; to continue, change the options of that "
            "automation or set it to enabled: false)"
        )
    key = "train.end_at" if options.train.end_at else "train.total_iter"
    if trainer.is_over and not trainer.has_pending_validation():
        return f"finished: {done} (nothing left to do; raise {key} to go on)"
    loader = build_loader(options, train_set, runtime, trainer.training.plan, trainer.iteration)
    if loader.about:
        trainer.logbook.info(loader.about)
    trainer.logbook.warn_all(loader.news())
    damage = DamageCounter(train_set)
    try:
        with compiler_errors():
            trainer.run(loader, lambda batches: [*loader.news(), *damage.count(batches)])
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"Out of memory at batch {choice.batch_size_per_gpu} (iteration {trainer.iteration + 1:,}). Try "
            f"datasets.train.batch_size_per_gpu: {max(1, choice.batch_size_per_gpu // 2)} with accum_iter: "
            f"{choice.accum_iter * 2}; {trainer.saver.last_good()}.\n{error}"
        ) from None
    finally:
        loader.close()
    stop = trainer.stop
    early = f" (stopped early: {stop.reason})" if stop and trainer.iteration < trainer.total else ""
    return f"finished: {trainer.iteration:,}/{trainer.total:,}{early}"
