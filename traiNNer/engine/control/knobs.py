"""The few numbers that a training automation may move during a run, each within bounds."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LR_FACTOR, LR_BATCH = "lr_factor", "lr_batch"
GRAD_CLIP, GRAD_SKIP = "grad_clip", "grad_skip"
MICRO_BATCH, BATCH_SIZE = "micro_batch", "batch_size"
LOSS_WEIGHT = "loss_weight."


@dataclass(frozen=True)
class Range:
    """How an automation wants its knob: bounds, value at the start, and the value (or schedule) after it is disabled.

    None leaves what the option file says.
    """

    low: float | None = None
    high: float | None = None
    start: float | None = None
    fallback: float | Callable[[int], float] | None = None


@dataclass
class Knob:
    """One number. `ramp`: over how many iterations a change takes effect; `claimed`: an automation moves it.

    `start` is the user's value, or that of the section of its automation.

    `pending` is how far the automation that moves it is on the way to lowering it, as a share of the evidence that it
    needs (0 to 1): a plain fact that it states, for others to wait for.
    """

    value: float
    low: float = 0.0
    high: float = math.inf
    ramp: int = 0
    fallback: float | Callable[[int], float] = 0.0
    claimed: bool = False
    is_disabled: bool = False
    is_frozen: bool = False
    pending: float = 0.0
    _applied: bool = True
    start: float = field(init=False)
    _before: float = field(init=False)
    _since: int = 0
    _over: int = field(init=False)

    def __post_init__(self) -> None:
        self.start = self._before = self.fallback = self.value
        self._over = self.ramp

    def at(self, iteration: int = 0) -> float:
        """Return the active value at an iteration."""
        if not self._applied:
            return self.start
        if self.is_disabled:
            return self.fallback(iteration) if callable(self.fallback) else self.fallback
        if self._over and iteration < self._since + self._over:
            share = max(0, iteration - self._since) / self._over
            return self._before + (self.value - self._before) * share
        return self.value

    def is_below(self, iteration: int) -> bool:
        """Whether a dip, or the way up from it, keeps the active value below the one that lasts."""
        return self._applied and not self.is_disabled and self.at(iteration) < self.value

    def clamp(self, value: float) -> float:
        """Return the nearest value within the bounds."""
        return min(max(value, self.low), self.high)

    def set(self, value: float, iteration: int, dip: float = 0.0, hold: int = 0) -> None:
        """Move to a value within the bounds; with `hold` by way of `dip`, which is active for so many iterations."""
        before = self.clamp(dip) if hold else self.at(iteration)
        self._before, self._since, self._over = before, iteration + hold, hold or self.ramp
        self.value = self.clamp(value)

    def configure(self, wanted: Range) -> None:
        """Take over an automation's bounds, start and fallback."""
        self.claimed = True
        self.low = self.low if wanted.low is None else wanted.low
        self.high = self.high if wanted.high is None else wanted.high
        if wanted.start is not None:
            self.value = self._before = wanted.start
            self.start = wanted.start if self._applied else self.start
        if wanted.fallback is not None:
            self.fallback = wanted.fallback

    def shadow(self) -> None:
        """From now on only pretend to move: `at` keeps returning the option file's value."""
        self._applied = False

    def expect(self, share: float) -> None:
        """Note how far its automation is on the way to lowering it; cut off at 0 and 1."""
        self.pending = min(max(share, 0.0), 1.0)

    def freeze(self) -> None:
        """Note that its automation makes no more voluntary changes."""
        self.is_frozen = True

    def disable(self) -> None:
        """Take the fallback from now on."""
        self.is_disabled = True

    def fall_back_to(self, value: float) -> None:
        """Replace the fallback."""
        self.fallback = value

    def state_dict(self) -> dict[str, Any]:
        """Return the value and what it was before."""
        return {
            "value": self.value,
            "before": self._before,
            "since": self._since,
            "over": self._over,
            "is_disabled": self.is_disabled,
            "is_frozen": self.is_frozen,
            "pending": self.pending,
            "fallback": None if callable(self.fallback) else self.fallback,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, within the bounds that the file gives now."""
        self.value = self.clamp(state["value"])
        self._before, self._since, self._over = state["before"], state["since"], state.get("over", self.ramp)
        self.is_disabled, self.is_frozen = state["is_disabled"], state["is_frozen"]
        self.pending = state.get("pending", 0.0)
        if self.is_disabled and state["fallback"] is not None:
            self.fallback = state["fallback"]


class Knobs(dict[str, Knob]):
    """Every knob of a run by name, at the values of the option file.

    Args:
        grad_clip: largest gradient norm; infinity does not clip.
        batch_size: images per device in one batch of the loader.
        losses: log names of the loss terms.
        prefixes: what the knobs of each learner are called by: `""` for the main one, `net_d.` for another.
    """

    def __init__(
        self,
        grad_clip: float = math.inf,
        batch_size: int = 0,
        losses: tuple[str, ...] = (),
        prefixes: tuple[str, ...] = ("",),
    ) -> None:
        super().__init__()
        for prefix in prefixes:
            self[prefix + LR_FACTOR] = Knob(1.0, 1e-4, 100.0)
            self[prefix + GRAD_CLIP] = Knob(grad_clip)
            self[prefix + GRAD_SKIP] = Knob(math.inf)
        self[LR_BATCH] = Knob(1.0, 1e-4, 100.0, ramp=200)
        self[MICRO_BATCH] = Knob(batch_size or math.inf, low=1)
        self[BATCH_SIZE] = Knob(batch_size or math.inf, low=1)
        for name in losses:
            self[LOSS_WEIGHT + name] = Knob(1.0, 1e-4, 1e4)

    def rate(self, iteration: int, prefix: str = "") -> float:
        """Return the factor on the scheduled learning rate of the learner whose knobs have this prefix."""
        factor = self[prefix + LR_FACTOR]
        product = factor.at(iteration) * self[LR_BATCH].at(iteration)
        return min(product, factor.high) if factor.claimed and not factor.is_disabled else product

    def loss_weights(self) -> dict[str, float]:
        """Return the factors on the loss terms that differ from 1."""
        found = {name: knob.at() for name, knob in self.items() if name.startswith(LOSS_WEIGHT)}
        return {name.removeprefix(LOSS_WEIGHT): value for name, value in found.items() if value != 1.0}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every knob."""
        return {name: knob.state_dict() for name, knob in self.items()}

    def load_state_dict(self, state: Mapping[str, Any], names: Iterable[str]) -> None:
        """Restore the knobs of these names; the others have no automation any more and stay as the file says."""
        for name in state.keys() & self.keys() & set(names):
            self[name].load_state_dict(state[name])
