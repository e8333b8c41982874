"""What the loop reports to the training automations and what they may answer: plain values without behavior."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from traiNNer.engine.control.knobs import LOSS_WEIGHT
from traiNNer.engine.runtime.memory import Memory

Direction = Literal["higher", "lower"]
Evidence = Mapping[str, float | int | str | bool | None]
CROP_SIZE = "crop_size"
"""What a change of the training crops is called by: no knob, as only the option file orders it."""


# Events


@dataclass(frozen=True)
class RunStarted:
    """What does not change during a run; reported before the first iteration, and again where a resume continues.

    `schedule` is the factor on the base learning rate by iteration (from 0), warm-up included, without any knob.
    `losses` are the weights of the file by log name; `anchor` is the first pixel loss, against which the others are
    balanced and which bicubic upscaling is compared by, and `later_anchors` take its place while it is not active.
    `changes` are those that the file orders on the way: losses that join or leave (`loss_weight.<name>`, from or to 0)
    and crops that grow (`crop_size`); each is told after the last iteration of the old. `metrics` lists what validation
    computes (`val/psnr` is the mean over the sets, `<set>/psnr` one of them), each with its better direction.
    `coupled_by` says why a batch must not be computed in parts; empty where it may. `average_iter` is the window of the
    averaged weights in iterations; 0 where there is no average.
    """

    total_iter: int
    batch_size: int
    iteration: int = 0
    warmup_iter: int = 0
    epoch_iter: float = math.inf
    val_freq: int | None = None
    optimizer: str = "AdamW"
    base_lr: float = 1e-4
    losses: Mapping[str, float] = field(default_factory=dict)
    anchor: str | None = None
    later_anchors: Sequence[str] = ()
    changes: Sequence["KnobChanged"] = ()
    metrics: Mapping[str, Direction] = field(default_factory=dict)
    schedule: Callable[[int], float] = lambda _: 1.0
    has_schedule: bool = False
    is_clipping: bool = True
    has_memory: bool = False
    coupled_by: str = ""
    is_compiled: bool = False
    average_iter: float = 0.0
    has_probe: bool = False
    beta2: float = 0.999

    @property
    def has_average(self) -> bool:
        """Whether the weights are averaged."""
        return self.average_iter > 0

    @property
    def memory_of_optimizer(self) -> int:
        """The steps that the optimizer's second moment remembers: for so long an alarm may be about an earlier move."""
        return round(2 / (1 - min(self.beta2, 0.999)))

    @property
    def largest_crops_from(self) -> int:
        """The iteration after which the training crops have their full size; 0 where they do not grow."""
        return max((change.iteration for change in self.changes if change.knob == CROP_SIZE), default=0)

    def is_active(self, loss: str, iteration: int) -> bool:
        """Whether a loss is active in an iteration, counted from 1."""
        own = [change for change in self.changes if change.knob == LOSS_WEIGHT + loss]
        before = [change.new for change in own if change.iteration < iteration]
        return bool(before[-1] if before else own[0].old if own else True)

    @property
    def can_split(self) -> bool:
        """Whether a batch in micro-batches gives the gradients of the whole."""
        return not self.coupled_by


class Step(NamedTuple):
    """One iteration: whether the update was made, the gradient norm before clipping, and the loss.

    `loss` is the pixel loss (without a pixel loss: the sum of all terms) and `reference` the pixel loss of bicubic
    upscaling on the same batch, not a number where there is none. `norms` are the gradient norms of the single terms
    while they are measured.
    """

    applied: bool
    grad_norm: float
    loss: float
    reference: float = math.nan
    norms: Mapping[str, float] | None = None

    def signal(self) -> float:
        """Return log(loss), minus log(reference) where there is one; not a number for a step that was skipped."""
        if not self.applied or not self.loss > 0:
            return math.nan
        return math.log(self.loss) - (math.log(self.reference) if self.reference > 0 else 0.0)


@dataclass(frozen=True)
class WindowFinished:
    """The iterations since the last window, the newest last; `iteration` is that one's number, counted from 1.

    `seconds` is the time of an iteration of the window; `memory` is None where it is not reported; `batch` is how
    many images per device and loader batch were trained, None in a window in which that changed. `others` are the
    steps of other learners than `net_g` by name, each with the sum of its loss terms.
    """

    iteration: int
    steps: Sequence[Step]
    seconds: float = math.nan
    memory: Memory | None = None
    batch: int | None = None
    others: Mapping[str, Sequence[Step]] = field(default_factory=dict)


@dataclass(frozen=True)
class ValidationFinished:
    """The scores by name as in `RunStarted.metrics`; empty when they could not be computed.

    `training` are the errors of the scored weights on fixed training crops, in units of `ProbeFinished`; empty where
    there is no probe.
    """

    iteration: int
    scores: Mapping[str, float]
    training: Sequence[float] = ()


@dataclass(frozen=True)
class ProbeFinished:
    """The errors on fixed held-out crops, crop by crop in one order: log of the root-mean-square error.

    It comes every 100 iterations, and where `Probe` asked for it; no more once memory ran out while measuring.

    A difference of 0.01 is 1 %, or 0.087 dB. `live` are those of the weights that are trained, `average` those of
    their average; without an average both are the same. An output that is not finite has the error NaN.
    """

    iteration: int
    live: Sequence[float]
    average: Sequence[float]


@dataclass(frozen=True)
class StepFailed:
    """The iteration under way could not be done (`out of memory`), or would end the run (`not finite`)."""

    iteration: int
    kind: Literal["out of memory", "not finite"]


@dataclass(frozen=True)
class KnobChanged:
    """A knob was moved, by an automation or by the option file: values from before and after are not comparable."""

    iteration: int
    knob: str
    old: float
    new: float


# Decisions


@dataclass(frozen=True)
class SetKnob:
    """Move a knob. A `forced` move (after running out of memory or diverging) does not count as an adjustment.

    With `hold` the knob first goes to `dip`, stays there for so many iterations and takes as many to get to `value`.
    """

    knob: str
    value: float
    reason: str
    evidence: Evidence = field(default_factory=dict)
    forced: bool = False
    dip: float = 0.0
    hold: int = 0


@dataclass(frozen=True)
class KeepSnapshot:
    """Remember weights, optimizer and average as they are now, in memory, in place of what was kept before."""

    reason: str = ""


@dataclass(frozen=True)
class Probe:
    """Measure the probe out of turn: `ProbeFinished` comes at the end of this iteration, or after the next one's step.

    The latter for what is decided at a validation, at the start, or on a probe: there is one an iteration at most.
    """

    reason: str


@dataclass(frozen=True)
class Rollback:
    """Return to the kept snapshot, or let the weights become their average; the iteration keeps counting.

    Moving to the average forgets the optimizer's first moment and keeps the second.
    """

    reason: str
    evidence: Evidence = field(default_factory=dict)
    to: Literal["snapshot", "average"] = "snapshot"


@dataclass(frozen=True)
class Undo:
    """Take back the moves of the other automation that moved last: the first suspect of an alarm.

    All its voluntary moves within `RunStarted.memory_of_optimizer` are taken back, and it makes no new one for as long.
    Where there was one, a `KnobChanged` tells so.
    """

    reason: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True)
class Stop:
    """End the run here. With `best` the best weights by that metric are what the run leaves behind.

    `failed` ends it with the exit code of a run that is not finite.
    """

    reason: str
    evidence: Evidence = field(default_factory=dict)
    best: str | None = None
    failed: bool = False


@dataclass(frozen=True)
class MeasureTerms:
    """Measure the gradient norm of every loss term by itself for so many iterations; they arrive in `Step.norms`."""

    iterations: int


@dataclass(frozen=True)
class Say:
    """Write a line for the user; `warn` where it should be acted on."""

    text: str
    warn: bool = False


@dataclass(frozen=True)
class Disable:
    """Move the automation's knobs to their fallback and switch it off for the rest of the run."""

    reason: str


Decision = SetKnob | KeepSnapshot | Probe | Rollback | Undo | Stop | MeasureTerms | Say | Disable
State = dict[str, Any]
