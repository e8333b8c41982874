"""The state of a run: complete, it resumes bitwise exactly; without any one entry it does not."""

import signal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bookkit import Book
from enginekit import learner_of
from statekit import FACTS
from torch import nn
from torch.nn.functional import pixel_shuffle

from benchmarks.automations.simulated_device import SimulatedDevice
from traiNNer.batch import Batch, BatchPlan
from traiNNer.engine.checkpoint.saver import Saver
from traiNNer.engine.checkpoint.store import CheckpointStore, Restored
from traiNNer.engine.control.knobs import GRAD_SKIP, LR_FACTOR, Knobs
from traiNNer.engine.evaluation.best import BestScores
from traiNNer.engine.evaluation.evaluation import EvaluationStopped
from traiNNer.engine.run_folder import RunFolder
from traiNNer.engine.runtime.memory import DeviceMemory
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.engine.signals import StopSignals
from traiNNer.engine.snapshot import Snapshot
from traiNNer.engine.step import Stepper
from traiNNer.engine.trainer import Recording, Trainer
from traiNNer.engine.training import Training
from traiNNer.engine.window import NonfiniteWatch
from traiNNer.errors import CheckpointError, Interrupted, TrainingDiverged
from traiNNer.models.protocol import MAIN, PhaseLoss, TrainableModel

SAVED, TOTAL = 5, 13
POISONED = (5, 6)  # iterations whose loss is NaN
ENTRIES = ("progress", "learners", "model", "window", "watch", "snapshot", "scaler", "automations", "best", "rng")
OPTIONAL = ("scaler", "automations")
WITHIN = ("optimizer", "norm_filter")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, lq):
        return pixel_shuffle(self.conv(lq), 2)


class Noisy(TrainableModel):
    """Draws random numbers, counts, and is non-finite in some iterations."""

    def __init__(self, network) -> None:
        self.network, self.seen = network, 0

    def phases(self, batch, iteration):
        self.seen += 1
        factor = (1 + torch.rand(())) * (1 + 0.1 * self.seen)
        poison = float("nan") if iteration in POISONED else 0.0
        yield PhaseLoss({"l1": (self.network(batch.lq) - batch.gt).abs().mean() * (factor + poison)})

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


class Slower:
    """A fake automation host: lowers the learning rate with every iteration."""

    stop = None

    def __init__(self, knobs: Knobs) -> None:
        self.knobs, self.count = knobs, 0

    def after_step(self, iteration, report):
        self.count += 1
        self.knobs[LR_FACTOR].set(0.95**self.count, iteration)

    def not_finite(self):
        return False

    def state_dict(self):
        return {"count": self.count, "knobs": self.knobs.state_dict()}

    def load_state_dict(self, state):
        self.count = state["count"]
        self.knobs.load_state_dict(state["knobs"], [LR_FACTOR])


def batch(seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    lq = torch.from_numpy(rng.integers(0, 256, (2, 6, 6, 3), np.uint8))
    gt = torch.from_numpy(rng.integers(0, 256, (2, 12, 12, 3), np.uint8))
    return Batch(lq, gt, (f"{seed}/0", f"{seed}/1"))


def make(root, seed: int) -> Trainer:
    """Return a trainer of a tiny network with seeded weights."""
    torch.manual_seed(seed)
    runtime, knobs, book = Runtime(torch.device("cpu"), "test", half=torch.float16), Knobs(), Book()
    book.warn_all = book.warnings.extend
    network = Net()
    learner = learner_of(network, torch.optim.AdamW(network.parameters(), 1e-2), knobs, decay=0.9)
    model = Noisy(runtime.upscaler(network))
    stepper = Stepper(model, {MAIN: learner}, runtime, knobs)
    snapshot, watch = Snapshot({MAIN: learner}, model), NonfiniteWatch(limit=9, inspect_every=1)
    training = Training(runtime, stepper, snapshot, watch, book, BatchPlan(2), Slower(knobs))
    places = {name: root / name for name in ("models", "training_states", "log", "visualization")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    store = CheckpointStore(RunFolder(root, resume_models=places["models"], **places))
    saver = Saver(store, runtime, book, {MAIN: {"arch": "net"}})
    scorer = SimpleNamespace(best=BestScores({"psnr": "higher"}), evaluations=[])
    options = SimpleNamespace(train=SimpleNamespace(total_iter=TOTAL))
    return Trainer(options, training, scorer, Recording(saver, book, StopSignals(), FACTS))


def go(trainer: Trainer, end: int) -> list[Any]:
    """Train to an iteration; return the exact results of each one."""
    training, trail = trainer.training, []
    learner = training.learners[MAIN]
    while training.iteration < end:
        # From the fourth iteration on every step is too large: five in a row are skipped, the sixth is applied.
        learner._knobs[GRAD_SKIP].set(1e-9 if training.iteration >= 3 else float("inf"), 0)
        report = training.advance([batch(training.iteration)])
        number = training.iteration
        if number == 2:
            training.snapshot.take()
            trainer.scorer.best.note("psnr", 30.0, 2)
        rolled_back = training.snapshot.restore() if number == 12 else None
        trail.append(
            {
                "iteration": number,
                "terms": report.main.terms["l1"].item(),
                "lr": training.learning_rate,
                "scale": training.runtime.scaler.get_scale(),
                "means": training.window.read() if number in (2, 8) else None,
                "rolled back": rolled_back,
                "weights": {role: {k: v.clone() for k, v in w.items()} for role, w in learner.weights().items()},
                "best": trainer.scorer.best.state_dict(),
                "warnings": list(trainer.logbook.warnings),
            }
        )
        trainer.logbook.warnings.clear()
    return trail


def is_same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(is_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return one == other or repr(one) == repr(other) == "nan"


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Return a folder with the checkpoint of an uninterrupted run, and the results after it."""
    root = tmp_path_factory.mktemp("straight")
    trainer = make(root, 0)
    go(trainer, SAVED)
    trainer._save(must_succeed=True)
    return root, go(trainer, TOTAL)


def resumed(straight, change=lambda restored, trainer: None) -> list[Any]:
    """Resume in a new trainer with another seed, from the checkpoint modified by `change`."""
    root, _ = straight
    trainer = make(root, 99)
    restored = trainer.saver.store.load(SAVED)
    change(restored, trainer)
    trainer.restore(restored)
    return go(trainer, TOTAL)


def test_resumed_run_repeats_the_uninterrupted_one(straight):
    _, trail = straight
    assert len(trail) == TOTAL - SAVED
    assert is_same(resumed(straight), trail)


def test_every_entry_is_saved(straight):
    root, _ = straight
    trainer = make(root, 1)
    assert tuple(trainer.state()) == ENTRIES
    restored = trainer.saver.store.load(SAVED)
    assert set(restored.state) == {*ENTRIES, "format", *FACTS}
    assert set(restored.state["learners"][MAIN]) == set(WITHIN)
    assert set(restored.weights) == {MAIN, f"{MAIN}_ema"}


@pytest.mark.parametrize("name", ENTRIES)
def test_missing_state_entry_is_refused_or_changes_the_run(straight, name):
    def take_out(restored: Restored, _: Trainer) -> None:
        del restored.state[name]

    if name in OPTIONAL:
        assert not is_same(resumed(straight, take_out), straight[1])
        return
    with pytest.raises(CheckpointError, match=f"the training state lacks {name}"):
        resumed(straight, take_out)


@pytest.mark.parametrize("name", ENTRIES)
def test_unrestored_entry_changes_the_resumed_run(straight, name):
    def keep_fresh(restored: Restored, trainer: Trainer) -> None:
        restored.state[name] = trainer.state()[name].state_dict()

    # A counter that is not restored starts at zero: the run is longer, and differs from its first iteration.
    assert not is_same(resumed(straight, keep_fresh)[: TOTAL - SAVED], straight[1])


@pytest.mark.parametrize("name", WITHIN)
def test_unrestored_learner_entry_changes_the_resumed_run(straight, name):
    def keep_fresh(restored: Restored, trainer: Trainer) -> None:
        restored.state["learners"][MAIN][name] = trainer.training.learners[MAIN].state_dict()[name]

    def take_out(restored: Restored, _: Trainer) -> None:
        del restored.state["learners"][MAIN][name]

    assert not is_same(resumed(straight, keep_fresh), straight[1])
    with pytest.raises(CheckpointError, match=f"lacks {name} of {MAIN}"):
        resumed(straight, take_out)


@pytest.mark.parametrize("role", [MAIN, f"{MAIN}_ema"])
def test_unrestored_weights_change_the_resumed_run(straight, role):
    def keep_fresh(restored: Restored, trainer: Trainer) -> None:
        restored.weights[role] = dict(trainer.training.learners[MAIN].weights()[role])

    assert not is_same(resumed(straight, keep_fresh), straight[1])


def test_restoring_updates_messages_and_log_lines(straight):
    root, _ = straight
    trainer = make(root, 3)
    trainer.restore(trainer.saver.store.load(SAVED))
    assert trainer.iteration == trainer.saver.last == SAVED
    # Schedule and knobs as of the checkpoint, not the learning rate of the option file.
    assert trainer.training.learning_rate == pytest.approx(1e-2 * 0.95**SAVED)
    assert not trainer.is_over


@pytest.mark.parametrize("is_watched", [False, True])
def test_pending_steps_are_inspected_before_saving(tmp_path, is_watched):
    """A state whose weights are not finite would be what the run continues from."""
    trainer = make(tmp_path, 3)
    training = trainer.training
    training.watch = NonfiniteWatch(limit=len(POISONED), inspect_every=100)
    while training.iteration < max(POISONED):
        training.advance([batch(training.iteration)])
    training.automations.not_finite = lambda: is_watched
    if is_watched:
        trainer._save(must_succeed=True)
        assert "Rolled back to the last good weights" in training.logbook.warnings[-1]
        return
    with pytest.raises(TrainingDiverged, match="not finite at 6"):
        trainer._save(must_succeed=True)
    assert not list((tmp_path / "training_states").iterdir())


def test_validation_and_warm_up_count_nothing_in_the_memory_of_training(tmp_path):
    trainer = make(tmp_path, 0)
    training, device = trainer.training, SimulatedDevice(1000)
    training.runtime._memory = DeviceMemory(torch.device("cuda", 0), device)
    training.stepper.on_out_of_memory = lambda: False
    step = training.stepper.step

    def hungry(batches, iteration=1):
        device.use(300)
        return step(batches, iteration)

    training.stepper.step = lambda batches, iteration=1: (device.use(700), step(batches, iteration))[1]
    training.warm_up_memory([batch(0)])
    training.stepper.step = hungry
    training.advance([batch(0)])
    trainer.scorer.run = lambda *_: device.use(900) or {}
    training.automations = None
    trainer._validate()
    training.advance([batch(1)])
    assert training.runtime.memory().reserved == 300
    assert device.reserved == 300


def test_signal_leaves_a_validation_image_that_hangs_and_the_validation_stays_pending(tmp_path):
    trainer = make(tmp_path, 0)
    trainer.training.advance([batch(0)])

    def run(iteration, is_stopped, reading):
        assert not is_stopped()
        with reading():
            signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the read has not been left")

    trainer.scorer.run = run
    with trainer.signals:
        trainer._validate()
        assert trainer._signal() == signal.SIGTERM
    assert trainer.training.progress.validated == 0


def test_interrupted_validation_leaves_saving_to_the_answer_to_the_signal(tmp_path):
    trainer = make(tmp_path, 0)
    trainer.training.advance([batch(0)])

    def run(*_):
        raise EvaluationStopped

    trainer.scorer.run = run
    trainer._validate()
    assert trainer.training.progress.validated == 0
    assert not (tmp_path / "training_states/1.state").exists()


def test_signal_while_waiting_for_data_saves_what_was_trained(tmp_path):
    trainer = make(tmp_path, 0)
    trainer.logbook.stop_progress = lambda: None

    def hang():
        signal.raise_signal(signal.SIGHUP)
        yield

    with trainer.signals, pytest.raises(Interrupted, match="before there was anything to save"):
        trainer._wait_for(hang())
    trainer = make(tmp_path, 0)
    trainer.training.advance([batch(0)])
    trainer.logbook.stop_progress = lambda: None
    with trainer.signals, pytest.raises(Interrupted, match=r"\(SIGHUP\) at 1/\S+; checkpoint 1 saved") as caught:
        trainer._wait_for(hang())
    assert caught.value.exit_code == 129
    assert (tmp_path / "training_states/1.state").exists()


@pytest.mark.parametrize(("iteration", "calls"), [(199, []), (200, [(20, 200)])])
def test_images_are_examined_at_the_end_unless_the_network_is_hardly_trained(tmp_path, iteration, calls):
    trainer, found = make(tmp_path, seed=0), []
    trainer.training.suspicion = SimpleNamespace(images=400, worst=lambda count: list(range(count)))
    trainer.examination = SimpleNamespace(run=lambda places, at: found.append((len(places), at)))
    trainer.training.progress.iteration = iteration
    trainer._examine_images()
    assert found == calls
