"""Every object of a training run, built around its networks."""

from collections.abc import Callable, Mapping

from torch import nn

from traiNNer.batch import BatchPlan, ImageSet
from traiNNer.config.options import TrainOptions
from traiNNer.engine.checkpoint.saver import Saver
from traiNNer.engine.checkpoint.store import CheckpointStore
from traiNNer.engine.control.effects import Actions
from traiNNer.engine.control.events import KeepSnapshot, MeasureTerms, Rollback
from traiNNer.engine.evaluation.best import BestScores
from traiNNer.engine.evaluation.scorer import Scorer
from traiNNer.engine.evaluation.showcase import Showcase
from traiNNer.engine.evaluation.suspects import Examination
from traiNNer.engine.gradient_share import GradientShares
from traiNNer.engine.learner import Learner
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.run_folder import RunFolder
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.signals import StopSignals
from traiNNer.engine.snapshot import Snapshot
from traiNNer.engine.step import Measuring, Stepper
from traiNNer.engine.suspicion import Explained, Suspicion
from traiNNer.engine.trainer import FIRST_LINES, Recording, Trainer
from traiNNer.engine.training import Training
from traiNNer.engine.window import NonfiniteWatch
from traiNNer.models.protocol import MAIN
from traiNNer.optim.schedules import Schedule
from traiNNer.registry import ARCHS
from traiNNer.run.automations import build_host, build_knobs, build_probe, build_reference, own_best, plain_options
from traiNNer.run.build import (
    build_ending,
    build_evaluations,
    build_learners,
    build_losses,
    build_model,
    describe_networks,
    directions,
)
from traiNNer.run.compiling import settle_compiling
from traiNNer.run.identity import identity, stream_identity
from traiNNer.run.pretrained import starting_network

FP16_SCALE_HALVINGS = 16
Networks = Mapping[str, nn.Module]
Sets = Mapping[str, ImageSet]


def assemble_training(
    options: TrainOptions,
    runtime: Runtime,
    networks: Networks,
    train_set: ImageSet,
    book: Logbook,
    may_split: bool = True,
    probe_sets: Sets | None = None,
    ending: Schedule | None = None,
) -> Training:
    """Build what trains.

    Args:
        options: of the run.
        runtime: device and ranks.
        networks: by learner name, on the CPU still.
        train_set: the opened training images.
        book: the log.
        may_split: whether a step that runs out of memory may be done again in smaller micro-batches.
        probe_sets: the opened image sets by key, from which the automations' probe is cut; None for no probe.
        ending: a further factor on the learning rate, of a run that the clock ends.
    """
    settle_compiling(options, runtime, networks[MAIN], train_set, book)
    knobs = build_knobs(options)
    learners = build_learners(options, networks, runtime, knobs, ending)
    losses = build_losses(options)
    model = build_model(options, learners, losses, runtime)
    snapshot, measuring = Snapshot(learners, model), Measuring()
    watch = _build_watch(options, runtime)
    plan = BatchPlan(options.datasets["train"].batch_size_per_gpu)
    host = build_host(
        options,
        knobs,
        networks.values(),
        losses,
        train_set,
        runtime,
        book,
        actions=_build_actions(learners, snapshot, watch, measuring),
        plan=plan,
        learning_rate=learners[MAIN].learning_rate,
        probe=build_probe(options, probe_sets or {}, learners[MAIN], knobs, runtime, book),
        ending=ending,
    )
    on_out_of_memory = host.out_of_memory if may_split and host and host.answers_out_of_memory else None
    reference = build_reference(options, losses)
    suspicion = _build_suspicion(options, train_set, runtime)
    explained = Explained(options.scale) if suspicion else None
    shares = GradientShares(lambda iteration: iteration % options.logger.print_freq == 0 or iteration in FIRST_LINES)
    # Batch augmentation mixes the images of a batch where it is stacked: their degradations come before.
    is_left = runtime.prefers_batches and not options.train.use_moa
    degrade = train_set.leave_degradations() if is_left else None
    if degrade:
        book.info("The degradations of a batch are made where it is trained on.")
    stepper = Stepper(
        model, learners, runtime, knobs, reference, measuring, on_out_of_memory, explained, shares, degrade
    )
    return Training(runtime, stepper, snapshot, watch, book, plan, host, train_set.crop_size, suspicion)


def assemble(
    options: TrainOptions,
    folder: RunFolder,
    runtime: Runtime,
    networks: Networks,
    sets: Sets,
    book: Logbook,
    signals: StopSignals,
    store: CheckpointStore,
    clock: Callable[[], float],
) -> Trainer:
    """Build a training run; `clock` returns the seconds since the program started."""
    ending = build_ending(options, runtime, clock)
    training = assemble_training(options, runtime, networks, sets["train"], book, probe_sets=sets, ending=ending)
    saver = Saver(store, runtime, book, describe_networks(options))
    scorer = _build_scorer(options, folder, training, sets, saver, book)
    automations = plain_options(options) if training.automations else {}
    facts = {
        "environment": runtime.environment(),
        "identity": identity(options, networks),
        "stream": stream_identity(options, sets, automations),
    }
    traits = ARCHS[options.network_g.type].traits
    examination = Examination(sets["train"], scorer.network, options.scale, traits, runtime, book)
    showcase = Showcase(folder.examples, folder.root, runtime, book) if options.logger.report else None
    return Trainer(options, training, scorer, Recording(saver, book, signals, facts), ending, examination, showcase)


def _build_actions(
    learners: Mapping[str, Learner], snapshot: Snapshot, watch: NonfiniteWatch, measuring: Measuring
) -> Actions:
    """Return what the automations' decisions do in the training, by type of decision."""

    def roll_back(wanted: Rollback) -> bool:
        watch.reset()
        if wanted.to == "average" and learners[MAIN].average:
            for learner in learners.values():
                learner.become_average()
            return True
        return snapshot.restore()

    def measure(wanted: MeasureTerms) -> None:
        measuring.is_on = wanted.iterations > 0

    return {KeepSnapshot: lambda _: snapshot.take(), Rollback: roll_back, MeasureTerms: measure}


def _build_suspicion(options: TrainOptions, train_set: ImageSet, runtime: Runtime) -> Suspicion | None:
    """Return what notes each image, where that is wanted and LQ and GT are files; a key must name one image."""
    files = train_set.paired_files() if options.train.suspects else {}
    return Suspicion(list(files), runtime) if files and len(files) == len(train_set) else None


def _build_watch(options: TrainOptions, runtime: Runtime) -> NonfiniteWatch:
    limit = options.train.max_nonfinite
    inspect_every = 1 if runtime.reads_are_free else limit
    return NonfiniteWatch(limit, inspect_every, FP16_SCALE_HALVINGS if runtime.scaler else 0)


def _build_scorer(
    options: TrainOptions, folder: RunFolder, training: Training, sets: Sets, saver: Saver, book: Logbook
) -> Scorer:
    main, host = training.learners[MAIN], training.automations
    return Scorer(
        main.shipped,
        list(main.weights())[-1],
        build_evaluations(options, dict(sets), training.runtime, starting_network(options, training.runtime)),
        BestScores(directions(options) | own_best(options)),
        saver,
        training.runtime,
        book,
        folder.place_image if options.val.save_img else None,
        halves_tiles=bool(host and host.halves_tiles),
    )
