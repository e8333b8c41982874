"""The composition root: from the command line to a finished run. The only file that knows all others."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from torch import nn

from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.build import (
    build_evaluations,
    build_learning_rate,
    build_loader,
    build_losses,
    build_network,
    describe_network,
    directions,
    identity,
    open_dataset,
    prepare_demo_if_named,
    stream_identity,
)
from traiNNer.build_helpers import build_host, build_knobs, build_reference, chosen_automations, own_best
from traiNNer.command import argument_parser, run_guarded
from traiNNer.config.load import Loaded, load_options
from traiNNer.config.options import CommonOptions, TestOptions, TrainOptions
from traiNNer.data.loader import DamageCounter
from traiNNer.engine import resume
from traiNNer.engine.best import BestScores
from traiNNer.engine.checkpoint import SUPERSEDED, CheckpointStore
from traiNNer.engine.interrupt import StopSignals
from traiNNer.engine.logbook import Logbook
from traiNNer.engine.run_folder import FolderLock, RunFolder, cause, check_writable, create, run_folder
from traiNNer.engine.runtime import Runtime, is_out_of_memory, start_runtime
from traiNNer.engine.saving import Saver
from traiNNer.engine.scoring import Scorer
from traiNNer.engine.step import Stepper
from traiNNer.engine.tester import Tester
from traiNNer.engine.trainer import Parts, Trainer
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.engine.weights import load_pretrained, read_weights
from traiNNer.errors import CannotWrite, ConfigError, OutOfMemory
from traiNNer.models.restoration import RestorationModel
from traiNNer.optim.optimizers import build_optimizer
from traiNNer.preflight import check_losses, check_metrics, check_shapes
from traiNNer.utils.files import write_bytes_atomic


def train_command(arguments: Sequence[str] | None = None) -> int:
    """Run `train.py`. Returns the exit code."""
    args = argument_parser("train.py", "Train a network as one option file says.", training=True).parse_args(arguments)
    overrides = [*args.set, *(["auto_resume=true"] if args.auto_resume else [])]
    book = Logbook()
    return run_guarded(book, lambda: _train(args, overrides, book))


def test_command(arguments: Sequence[str] | None = None) -> int:  # noqa: PT028 - no test, whatever its name
    """Run `test.py`. Returns the exit code."""
    args = argument_parser("test.py", "Test a weights file as one option file says.", training=False).parse_args(
        arguments
    )
    book = Logbook()
    return run_guarded(book, lambda: _test(args, book))


def _train(args: argparse.Namespace, overrides: list[str], book: Logbook) -> str:
    loaded = load_options(args.opt, TrainOptions, overrides)
    options: TrainOptions = loaded.options
    book.warn_all(loaded.warnings)
    runtime, notes = start_runtime(options)
    book.speak_for(runtime.rank)
    try:
        book.warn_all(notes)
        runtime.on_main(lambda: prepare_demo_if_named(options, book))
        sets = {key: open_dataset(options, key, book) for key in options.datasets}
        network = build_network(options)
        check_shapes(network, options)
        check_losses(options)
        book.warn_all(check_metrics(options, sets))
        folder = run_folder(options)
        check_writable(folder)
        if options.path.resume_state:
            resume.refuse_other_files(Path(options.path.resume_state).expanduser())
        if resume.is_fresh(options, folder, args.overwrite):
            _load_pretrained(network, options, book)
        if args.check:
            book.console.print(loaded.effective())
            return "checked: options, data and shapes are in order"
        with StopSignals() as signals:
            return _train_in(folder, loaded, runtime, network, sets, book, signals, args.overwrite)
    finally:
        runtime.close()


def _train_in(
    folder: RunFolder,
    loaded: Loaded,
    runtime: Runtime,
    network: nn.Module,
    sets: dict[str, ImageSet],
    book: Logbook,
    signals: StopSignals,
    overwrite: bool,
) -> str:
    options: TrainOptions = loaded.options
    resume.refuse_contradiction(options, folder, overwrite)
    with ExitStack() as held:
        runtime.on_main(lambda: _claim(folder, overwrite, held, book))
        store = CheckpointStore(folder, options.logger.save_checkpoint_format, options.logger.keep_last)
        start = resume.agree_on_start(runtime, folder, partial(_decide, options, folder, store, overwrite))
        parts = assemble(options, folder, runtime, network, sets, book, signals, store)
        if start.restored:
            resume.refuse_mismatch(start.restored.state["identity"], parts.identity)
        runtime.on_main(partial(_open_files, folder, loaded, store, start, book))
        trainer = Trainer(parts)
        _begin(trainer, start, sets["train"], book)
        return _run(trainer, sets["train"])


def _claim(folder: RunFolder, overwrite: bool, held: ExitStack, book: Logbook) -> None:
    """Make the run's folder and lock it until `held` is closed; an old run is set aside where that is wanted."""
    try:
        if overwrite and folder.root.exists():
            with FolderLock(folder.root):
                book.info(f"--overwrite: the old run is kept as {resume.set_aside(folder)}")
        create(folder)
        held.enter_context(FolderLock(folder.root))
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
        store.remove_leftovers()
        later = ", ".join(str(found) for found in reversed(store.supersede_after(iteration)))
        if later:
            book.warn(f"The run goes on from {iteration:,}; its later states ({later}) are kept as *{SUPERSEDED}.")
        book.open(folder, loaded.options.logger.use_tb_logger, iteration)
        write_bytes_atomic(folder.root / "options.yml", loaded.text.encode())
        write_bytes_atomic(folder.root / "resolved.yml", loaded.effective().encode())
    except OSError as error:
        raise CannotWrite(f"Cannot write to {folder.root} ({cause(error)}).") from None


def _load_pretrained(network: nn.Module, options: CommonOptions, book: Logbook, strict: bool = False) -> None:
    path, key = options.path.pretrain_network_g, options.path.param_key_g
    if not path:
        return
    try:
        strict = strict or options.path.strict_load_g
        notes, report = load_pretrained(network, describe_network(options), read_weights(path, key), strict)
    except ConfigError as error:
        raise ConfigError(f"path.pretrain_network_g: {error}") from None
    book.warn_all(notes)
    book.info(f"{path}: {report}")


def _begin(trainer: Trainer, start: resume.Start, train_set: ImageSet, book: Logbook) -> None:
    parts, options = trainer.parts, trainer.options
    book.info(parts.runtime.about)
    book.warn_all(start.warnings)
    trained = sum(parameter.numel() for parameter in parts.network.parameters() if parameter.requires_grad)
    book.info(f"{options.network_g.type} {options.scale}x: {trained:,} trained parameters; {len(train_set):,} images")
    if start.restored:
        changes = resume.exactness_warnings(start.restored.state, parts.runtime.environment(), parts.data)
        book.warn_all(changes)
        trainer.restore(start.restored)
        best = parts.scorer.best
        if parts.runtime.is_main:
            best.forget(parts.saver.store.keep_best_until(start.iteration, best.directions))
        exact = "" if changes else " (exact)"
        book.info(f"Resuming {options.name} at iteration {trainer.iteration:,}{exact}.")
    book.event("run_started", trainer.iteration, {"total_iter": trainer.total, "seed": options.manual_seed})


def _run(trainer: Trainer, train_set: ImageSet) -> str:
    choice, options, runtime = trainer.options.datasets["train"], trainer.options, trainer.parts.runtime
    done = f"{trainer.iteration:,}/{trainer.total:,}"
    stop = trainer.parts.automations and trainer.parts.automations.stop
    if stop and trainer.iteration < trainer.total and not trainer.is_owing():
        trainer.leave_early()
        return (
            f"finished: {done} (stopped early before: {stop.reason}; to go on, change the options of that helper or "
            "set it to enabled: false)"
        )
    if trainer.is_over and not trainer.is_owing():
        return f"finished: {done} (nothing left to do; raise train.total_iter to go on)"
    loader = build_loader(options, train_set, runtime, trainer.parts.plan, trainer.iteration)
    try:
        trainer.run(loader, DamageCounter(train_set).count)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"Out of memory at batch {choice.batch_size_per_gpu} (iteration {trainer.iteration:,}). Try "
            f"datasets.train.batch_size_per_gpu: {max(1, choice.batch_size_per_gpu // 2)} with accum_iter: "
            f"{choice.accum_iter * 2}. Nothing was saved now; {trainer.parts.saver.last_good()}."
        ) from None
    finally:
        loader.close()
    stop = trainer.parts.automations and trainer.parts.automations.stop
    early = f" (stopped early: {stop.reason})" if stop and trainer.iteration < trainer.total else ""
    return f"finished: {trainer.iteration:,}/{trainer.total:,}{early}"


def assemble(
    options: TrainOptions,
    folder: RunFolder,
    runtime: Runtime,
    network: nn.Module,
    sets: dict[str, ImageSet],
    book: Logbook,
    signals: StopSignals,
    store: CheckpointStore,
) -> Parts:
    """Build every object of a training run around a network."""
    runtime.place(network)
    optimizer = build_optimizer(options.train.optim_g.type, options.train.optim_g.options, network.parameters())
    losses = build_losses(options)
    model = RestorationModel(runtime.upscaler(network), runtime.place(losses))
    knobs = build_knobs(options)
    host = build_host(options, knobs, network, losses, sets["train"], runtime, book)
    train = options.train
    average = WeightAverage(network, train.ema_decay) if train.ema_decay else None
    saver = Saver(store, runtime, book, describe_network(options))
    scorer = Scorer(
        average.network if average else network,
        "net_g_ema" if average else "net_g",
        build_evaluations(options, sets, runtime),
        BestScores(directions(options) | own_best(options)),
        saver,
        runtime,
        book,
        folder.place_image if options.val.save_img else None,
    )
    parts = Parts(
        options=options,
        runtime=runtime,
        network=network,
        optimizer=optimizer,
        stepper=Stepper(model, network, optimizer, runtime, knobs, build_reference(options, losses)),
        average=average,
        learning_rate=build_learning_rate(options),
        scorer=scorer,
        saver=saver,
        logbook=book,
        signals=signals,
        identity=identity(options),
        data=stream_identity(options, sets["train"])
        | (
            {"automations": {name: choice.plain() for name, choice in chosen_automations(options).items()}}
            if host
            else {}
        ),
        knobs=knobs,
        automations=host,
    )
    if host:
        host.plan = parts.plan = BatchPlan(options.datasets["train"].batch_size_per_gpu)
    if host and not host.shadow and any(seat.helper.answers_out_of_memory for seat in host.seats):
        scorer.halves_tiles = True
        parts.stepper.on_out_of_memory = host.out_of_memory if host.run.can_split else None
    return parts


def _test(args: argparse.Namespace, book: Logbook) -> str:
    loaded = load_options(args.opt, TestOptions, args.set)
    options: TestOptions = loaded.options
    book.warn_all(loaded.warnings)
    if options.dist:
        book.warn("dist has no effect in test.py: one process tests every image")
    runtime, notes = start_runtime(options.model_copy(update={"dist": False}))
    book.warn_all(notes)
    prepare_demo_if_named(options, book)
    sets = {key: open_dataset(options, key, book) for key in options.datasets}
    network = build_network(options)
    check_shapes(network, options)
    book.warn_all(check_metrics(options, sets))
    _load_pretrained(network, options, book, strict=True)
    if args.check:
        book.console.print(loaded.effective())
        return "checked: options, data, weights and shapes are in order"
    book.info(runtime.about)
    evaluations = build_evaluations(options, sets, runtime)
    upscale = runtime.upscaler(runtime.place(network).eval())
    tester = Tester(Path("results") / options.name, evaluations, book, options.val.save_img)
    tester.run(upscale)
    return f"finished: {tester.done:,} image{'s' * (tester.done != 1)} in {len(sets)} set{'s' * (len(sets) != 1)}"
