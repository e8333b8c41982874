"""What the measuring process finds: the same objects on both ends of its pipe and in the memory of results."""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import ConfigDict

from traiNNer.zero_config.plan import Costs


@dataclass(frozen=True)
class Record:
    """Something that is sent or kept as JSON; read back, it refuses fields that it does not have."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Fit(Record):
    """A micro-batch that was trained: bytes used at the peak, bytes there are, and the size that failed, or 0."""

    size: int
    used: int
    total: int
    failed: int = 0


@dataclass(frozen=True)
class Comparison(Record):
    """How a setting did: `ratio` times as fast as before (0: it failed), and why it was taken or not."""

    title: str
    changes: dict[str, bool]
    ratio: float
    difference: float
    """Largest relative difference of the losses."""
    is_taken: bool
    note: str
    first_step_s: float = 0.0


@dataclass(frozen=True)
class Crop(Record):
    """The side of the crops that was chosen, and the seconds of a step by side, the usual one first; in LQ pixels."""

    side: int
    step_s: dict[int, float]


@dataclass(frozen=True)
class Trials(Record):
    """Every learning rate's score in dB after each round it took part in, and the lengths of the finished rounds."""

    scores: dict[float, tuple[float, ...]] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()
    seconds: float = 0.0

    def last(self) -> dict[float, float]:
        """Return the scores after the last round that was finished."""
        rounds = len(self.lengths)
        return {rate: scores[rounds - 1] for rate, scores in self.scores.items() if 0 < rounds <= len(scores)}

    @property
    def best(self) -> float | None:
        """The learning rate that scored best in the last round; None when every trial diverged."""
        finite = {rate: score for rate, score in self.last().items() if math.isfinite(score)}
        return max(finite, key=lambda rate: finite[rate]) if finite else None


@dataclass(frozen=True)
class Pace(Record):
    """Iterations per second, by number of data workers and with the best number, and what validation takes."""

    workers: int
    it_per_s: float
    waiting: float
    """Share of the time that is spent waiting for data."""
    tried: dict[int, float]
    trained: int
    trained_s: float
    """Iterations that the pace comes from, and their seconds."""
    decode_s: float
    """Seconds that reading every training image once takes, when they are kept in memory afterwards."""
    validation_s: float
    first_validation_s: float
    """What the first validation takes besides, for bicubic upscaling."""
    save_s: float


@dataclass(frozen=True)
class Measured(Record):
    """Everything that was found so far; None is what was not measured (yet)."""

    start_s: float | None = None
    """Seconds until the first iteration, imports included."""
    fit: Fit | None = None
    tile: int | None = None
    """Side of the validation tiles, where the largest image does not fit as a whole."""
    settings: tuple[Comparison, ...] = ()
    crop: Crop | None = None
    trials: Trials | None = None
    pace: Pace | None = None
    ended: str | None = None
    """Why measuring ended early; None: it did not."""
    is_remembered: bool = False
    kind: Literal["measured"] = "measured"

    @property
    def costs(self) -> Costs | None:
        """What a run costs; None where its pace is not known."""
        if self.pace is None:
            return None
        return Costs(
            it_per_s=self.pace.it_per_s,
            validation_s=self.pace.validation_s,
            first_validation_s=self.pace.first_validation_s,
            start_s=(self.start_s or 0.0) + self.pace.decode_s,
            save_s=self.pace.save_s,
        )

    @property
    def learning_rate(self) -> float | None:
        """The one that the trials chose; None when there were none, or all diverged."""
        return self.trials.best if self.trials else None
