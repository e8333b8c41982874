"""The composition root: from the command line to a finished run. The only file that knows all others."""

import argparse
import signal
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn

from traiNNer.batch import ImageSet
from traiNNer.build import (
    build_evaluations,
    build_learning_rate,
    build_losses,
    build_metrics,
    build_network,
    check_shapes,
    describe_network,
    directions,
    identity,
    open_dataset,
    prepare_demo_if_named,
    stream_identity,
)
from traiNNer.config.load import Loaded, load_options
from traiNNer.config.options import TestOptions, TrainOptions
from traiNNer.data.loader import DamageCounter, TrainLoader
from traiNNer.engine import resume
from traiNNer.engine.best import BestScores
from traiNNer.engine.checkpoint import CheckpointStore
from traiNNer.engine.interrupt import StopSignals
from traiNNer.engine.logbook import Logbook
from traiNNer.engine.run_folder import FolderLock, RunFolder, create, run_folder
from traiNNer.engine.runtime import Runtime, start_runtime
from traiNNer.engine.step import Stepper
from traiNNer.engine.tester import Tester
from traiNNer.engine.trainer import Parts, Trainer
from traiNNer.engine.weight_average import WeightAverage
from traiNNer.engine.weights import load_pretrained, read_weights
from traiNNer.errors import OutOfMemory, RunError
from traiNNer.models.restoration import RestorationModel
from traiNNer.optim.optimizers import build_optimizer
from traiNNer.utils.files import write_bytes_atomic


def train_command(arguments: Sequence[str] | None = None) -> int:
    """Run `train.py`. Returns the exit code."""
    args = _parser("train.py", "Train a network as one option file says.", training=True).parse_args(arguments)
    overrides = [*args.set, *(["auto_resume=true"] if args.auto_resume else [])]
    book = Logbook()
    return _guarded(book, lambda: _train(args, overrides, book))


def test_command(arguments: Sequence[str] | None = None) -> int:
    """Run `test.py`. Returns the exit code."""
    args = _parser("test.py", "Test a weights file as one option file says.", training=False).parse_args(arguments)
    book = Logbook()
    return _guarded(book, lambda: _test(args, book))


def _parser(name: str, about: str, training: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(name, description=about)
    parser.add_argument("-opt", "--opt", type=Path, required=True, metavar="FILE.yml", help="the option file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key, e.g. train.total_iter=200"
    )
    parser.add_argument("--check", action="store_true", help="check options, data and shapes, print them, and stop")
    if training:
        parser.add_argument("--auto_resume", action="store_true", help="go on from the newest complete state")
        parser.add_argument(
            "--overwrite", action="store_true", help="start anew; the old run is kept under another name"
        )
    return parser


def _guarded(book: Logbook, run: Callable[[], str]) -> int:
    """Run to the end or to an error, say why it ended as the last line, and return the exit code."""
    code, reason = 1, ""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: book.warn(str(message))
        try:
            reason = run()
            code = 0
        except RunError as error:
            code, reason = error.exit_code, str(error)
        except KeyboardInterrupt:
            code, reason = 128 + signal.SIGINT, "stopped: interrupted before training began; nothing was saved"
        except torch.OutOfMemoryError as error:
            code, reason = (
                OutOfMemory.exit_code,
                f"Out of memory. Try a smaller batch or crop, or accumulate. ({error})",
            )
        except Exception:
            reason = f"stopped by an error of the program (please report it):\n{traceback.format_exc()}"
        finally:
            book.stop_progress()
    if reason:
        book.finish(reason, code)
    book.close()
    return code


def _train(args: argparse.Namespace, overrides: list[str], book: Logbook) -> str:
    loaded = load_options(args.opt, TrainOptions, overrides)
    options: TrainOptions = loaded.options
    _say(book, loaded.warnings)
    prepare_demo_if_named(options, book)
    runtime, notes = start_runtime(options)
    book.console.quiet = not runtime.is_main
    try:
        _say(book, notes)
        sets = {key: open_dataset(options, key, book) for key in options.datasets}
        network = build_network(options)
        check_shapes(network, options)
        if args.check:
            build_losses(options)
            build_metrics(options)
            book.console.print(loaded.effective())
            return "checked: options, data and shapes are in order"
        folder = run_folder(options)
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
    if overwrite and folder.root.exists() and runtime.is_main:
        with FolderLock(folder.root):
            book.info(f"--overwrite: the old run is kept as {resume.set_aside(folder)}")
    if runtime.is_main:
        create(folder)
    with FolderLock(folder.root) if runtime.is_main else nullcontext():
        store = CheckpointStore(folder, options.logger.save_checkpoint_format, options.logger.keep_last)
        start = resume.decide_start(options, folder, store, overwrite)
        parts = assemble(options, folder, runtime, network, sets, book, signals, store)
        if start.restored:
            resume.refuse_mismatch(start.restored.state["identity"], parts.identity)
        if runtime.is_main:
            _open_files(folder, loaded, store, start, book)
        trainer = Trainer(parts)
        _begin(trainer, start, sets["train"], book)
        return _run(trainer, sets["train"])


def _open_files(folder: RunFolder, loaded: Loaded, store: CheckpointStore, start: resume.Start, book: Logbook) -> None:
    store.remove_leftovers()
    iteration = start.restored.iteration if start.restored else 0
    store.supersede_after(iteration)
    book.open(folder, loaded.options.logger.use_tb_logger, iteration)
    write_bytes_atomic(folder.root / "options.yml", loaded.text.encode())
    write_bytes_atomic(folder.root / "resolved.yml", loaded.effective().encode())


def _begin(trainer: Trainer, start: resume.Start, train_set: ImageSet, book: Logbook) -> None:
    parts, options = trainer.parts, trainer.options
    book.info(parts.runtime.about)
    _say(book, start.warnings)
    trained = sum(parameter.numel() for parameter in parts.network.parameters() if parameter.requires_grad)
    book.info(f"{parts.about['arch']} {options.scale}x: {trained:,} trained parameters; {len(train_set):,} images")
    if start.restored:
        changes = resume.exactness_warnings(start.restored.state, parts.runtime.environment(), parts.data)
        _say(book, changes)
        trainer.restore(start.restored)
        exact = "" if changes else " (exact)"
        book.info(f"Resuming {options.name} at iteration {trainer.iteration:,}{exact}.")
    elif options.path.pretrain_network_g:
        file = read_weights(options.path.pretrain_network_g, options.path.param_key_g)
        arch = parts.about["arch"]
        for line in load_pretrained(parts.network, arch, options.scale, file, options.path.strict_load_g):
            book.info(line)
        trainer.restart_average()
    book.event("run_started", trainer.iteration, {"total_iter": trainer.total, "seed": options.manual_seed})


def _run(trainer: Trainer, train_set: ImageSet) -> str:
    choice, options, runtime = trainer.options.datasets["train"], trainer.options, trainer.parts.runtime
    if trainer.iteration >= trainer.total:
        return (
            f"finished: {trainer.iteration:,}/{trainer.total:,} (nothing left to do; raise train.total_iter to go on)"
        )
    loader = TrainLoader(
        train_set,
        seed=options.manual_seed,
        batch_size=choice.batch_size_per_gpu,
        accum_iter=choice.accum_iter,
        workers=choice.num_worker_per_gpu,
        pin_memory=choice.pin_memory and runtime.device.type == "cuda",
        enlarge_ratio=choice.dataset_enlarge_ratio,
        start_iteration=trainer.iteration,
        total_iter=trainer.total,
        rank=runtime.rank,
        world=runtime.world,
    )
    try:
        trainer.run(loader, DamageCounter(train_set).count)
    except torch.OutOfMemoryError:
        raise OutOfMemory(
            f"Out of memory at batch {choice.batch_size_per_gpu} (iteration {trainer.iteration:,}). Try "
            f"datasets.train.batch_size_per_gpu: {max(1, choice.batch_size_per_gpu // 2)} with accum_iter: "
            f"{choice.accum_iter * 2}. The last checkpoint ({trainer.saved:,}) is unchanged."
        ) from None
    finally:
        loader.close()
    return f"finished: {trainer.iteration:,}/{trainer.total:,}"


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
    model = RestorationModel(runtime.upscaler(network), runtime.place(build_losses(options)))
    train = options.train
    return Parts(
        options=options,
        runtime=runtime,
        network=network,
        optimizer=optimizer,
        stepper=Stepper(model, network, optimizer, runtime, train.grad_clip_max_norm if train.grad_clip else None),
        average=WeightAverage(network, train.ema_decay) if train.ema_decay else None,
        learning_rate=build_learning_rate(options),
        evaluations=build_evaluations(options, sets, runtime),
        best=BestScores(directions(options)),
        store=store,
        logbook=book,
        signals=signals,
        about=describe_network(options),
        identity=identity(options),
        data=stream_identity(options, sets["train"]),
        place_image=lambda name, key, it: folder.visualization / name / key / f"{Path(key).name}_{it}.png",
    )


def _test(args: argparse.Namespace, book: Logbook) -> str:
    loaded = load_options(args.opt, TestOptions, args.set)
    options: TestOptions = loaded.options
    _say(book, loaded.warnings)
    prepare_demo_if_named(options, book)
    runtime, notes = start_runtime(options)
    _say(book, notes)
    sets = {key: open_dataset(options, key, book) for key in options.datasets}
    network = build_network(options)
    check_shapes(network, options)
    if args.check:
        book.console.print(loaded.effective())
        return "checked: options, data and shapes are in order"
    book.info(runtime.about)
    file = read_weights(options.path.pretrain_network_g or "", options.path.param_key_g)
    for line in load_pretrained(network, options.network_g.type, options.scale, file, strict=True):
        book.info(line)
    evaluations = build_evaluations(options, sets, runtime)
    upscale = runtime.upscaler(runtime.place(network).eval())
    Tester(Path("results") / options.name, evaluations, book, options.val.save_img).run(upscale)
    return "finished"


def _say(book: Logbook, texts: Sequence[str]) -> None:
    for text in texts:
        book.warn(text)


def write_reference(root: Path) -> list[Path]:
    """Write the option reference and the JSON schema that editors use, both generated from the code."""
    import json

    from traiNNer.config.describe import options_markdown
    from traiNNer.config.schema import json_schema

    pages = {
        root / "docs/options.md": options_markdown(),
        root / "options/options.schema.json": json.dumps(json_schema(TrainOptions), indent=1) + "\n",
        root / "options/test/options.schema.json": json.dumps(json_schema(TestOptions), indent=1) + "\n",
    }
    for path, text in pages.items():
        write_bytes_atomic(path, text.encode())
    return list(pages)
