"""The end of a run by the clock: how far its time reaches at the measured pace, and the rate that follows from it.

The rate is constant until what is left of the time is as long as the decay, then it falls along a line to zero. Both
are a plan, made anew where the pace changed. The plans are kept: a resumed run repeats the rates that they gave.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from statistics import median
from typing import Any

from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.utils.durations import duration

LEAST_ITERATIONS = 10
"""Iterations that a pace is measured over, at least; the very first one, which is slow, is not among them."""
RECENT = 0.03
"""Share of the iterations so far that the pace is measured over."""
LOOKS, LAST_LOOKS = 100, 10
"""The clock is read a hundred times in a run at the most, more often towards the end: ten times in what is left."""
REMEMBERED = 5
"""Validations, and checkpoints, whose median is what another one will take."""
NEWS = 0.1
"""Share by which an end has to move before the log tells it again."""
EXACT, ROUGH = 0.005, 0.1
"""How far an end may be off: a share of the whole time, and one of the time until the decay begins."""


@dataclass(frozen=True)
class Plan:
    """The factor on the learning rate from iteration `start` on: constant to `hold`, then along a line to 0 at `end`.

    Iterations count from 0, so that `end` is how many the run has.
    """

    start: int
    factor: float
    hold: int
    end: int

    def __call__(self, iteration: int) -> float:
        """Return the factor at an iteration."""
        left = max(0, self.end - max(iteration, self.hold))
        return self.factor * left / max(1, self.end - self.hold)


@dataclass(frozen=True)
class Timing:
    """What a run with `train.end_at` is to keep to.

    Args:
        seconds: all of its time.
        share: of its iterations in which the rate falls.
        most_iter: iterations that it never exceeds.
        val_freq: iterations between validations; None without any.
        save_freq: iterations between checkpoints.
    """

    seconds: float
    share: float
    most_iter: int
    val_freq: int | None
    save_freq: int

    def cost(self, done: int, end: int, pace: float, costs: Mapping[str, float]) -> float:
        """Return the seconds from iteration `done`, whose validation is still to be done, to the end and its files."""
        duties = {"validation": self.val_freq, "save": self.save_freq}
        seconds = (end - done) * pace
        for duty, every in duties.items():
            count = end // every - (done - 1) // every + (end % every > 0) if every else 0
            seconds += count * costs[duty]
        return seconds

    def reach(self, done: int, left: float, pace: float, costs: Mapping[str, float]) -> int:
        """Return the last iteration that can be finished, validated and saved within `left` seconds."""
        ends = range(done, max(done, self.most_iter) + 1)
        return done + max(0, bisect_right(ends, left, key=lambda end: self.cost(done, end, pace, costs)) - 1)


class Ending:
    """Plans the end of one run; a schedule itself, by the plans made so far.

    Args:
        timing: what to keep to.
        runtime: rank 0 reads the clock for all.
        clock: seconds since the program started.
    """

    def __init__(
        self,
        timing: Timing,
        runtime: Runtime,
        clock: Callable[[], float],
    ) -> None:
        self.timing = timing
        self.plans: list[Plan] = []
        self.pace = 0.0
        self._runtime = runtime
        self._clock = clock
        self._before = self._aside = 0.0
        # In iterations: a machine that has become slower is slower in these too.
        self._costs: dict[str, list[float]] = {"validation": [], "save": []}
        self._is_changed = False
        self._marks: list[tuple[int, float]] = []
        self._next_look = 0
        self._told: tuple[bool, int] | None = None

    def __call__(self, iteration: int) -> float:
        """Return the factor on the learning rate at an iteration, counted from 0."""
        place = bisect_right(self.plans, iteration, key=lambda plan: plan.start)
        return self.plans[place - 1](iteration) if place else 1.0

    @property
    def end(self) -> int | None:
        """The iteration after which the run is to end; None before there is a plan."""
        return self.plans[-1].end if self.plans else None

    @property
    def spent(self) -> float:
        """Seconds that this run has taken, over all its resumes."""
        return self._before + self._clock()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.timing.seconds - self.spent

    @contextmanager
    def aside(self, duty: str) -> Iterator[None]:
        """Measure a block that is a `validation` or a `save`, and no training."""
        started = self._clock()
        yield
        seconds = self._clock() - started
        self._aside += seconds
        if self.pace:
            self._costs[duty] = [*self._costs[duty], seconds / self.pace][-REMEMBERED:]

    def look(self, iteration: int) -> Plan | None:
        """Read the clock after an iteration, where it is time to. Returns the plan that is new; all ranks have to ask.

        Args:
            iteration: the one that was trained, before its validation and checkpoint; counted from 1.
        """
        if iteration < self._next_look:
            return None
        plan = self._runtime.from_main(self._replanned(iteration) if self._runtime.is_main else None)
        if plan:
            self.plans.append(plan)
        self._next_look = iteration + max(1, self._interval(iteration))
        return plan

    def go_on(self, iteration: int) -> Plan | None:
        """Return to the full rate after `iteration`, where a resumed run has another time or share than before."""
        if self._is_changed and self.plans:
            self.plans.append(self._runtime.from_main(self._plan(iteration, 1.0)))
            return self.plans[-1]
        return None

    def _interval(self, iteration: int) -> int:
        if not self.plans:
            return 1
        last = self.plans[-1]
        next_event = last.hold if last.hold > iteration else last.end
        return min(iteration // LOOKS, (last.end - iteration) // LAST_LOOKS, next_event - iteration)

    def _replanned(self, done: int) -> Plan | None:
        """Return a new plan; None while no pace is known, and where the present one is good enough."""
        self._measure(done)
        if not self.pace and self.left > 0:
            return None
        plan = self._plan(done, self(done))
        return None if self._is_good(plan) else plan

    def _plan(self, done: int, factor: float) -> Plan:
        costs = {duty: median(each or [0.0]) * self.pace for duty, each in self._costs.items()}
        end = self.timing.reach(done, self.left, self.pace, costs)
        return Plan(done, factor, max(done, round((1 - self.timing.share) * end)), end)

    def _measure(self, done: int) -> None:
        self._marks.append((done, self.spent - self._aside))
        window = max(LEAST_ITERATIONS, round(RECENT * done))
        while len(self._marks) > 1 and self._marks[1][0] <= done - window:
            del self._marks[0]
        first, spent = self._marks[0]
        if done - first >= LEAST_ITERATIONS:
            self.pace = (self._marks[-1][1] - spent) / (done - first)

    def _is_good(self, plan: Plan) -> bool:
        """Tell whether the last plan is as good as one that would be made now."""
        last = self.plans[-1] if self.plans else None
        if last is None or last.start < last.hold <= plan.start:  # the decay begins, which is decided once
            return False
        allowed = EXACT * self.timing.seconds + ROUGH * max(0, last.hold - plan.start) * self.pace
        return abs(plan.end - last.end) * self.pace <= allowed

    def _is_news(self, plan: Plan) -> bool:
        """Whether a user should hear of a plan: of the first, of the decay, and where the end has moved since then."""
        told, is_falling = self._told, plan.start >= plan.hold
        if told and told[0] == is_falling and abs(plan.end - told[1]) < NEWS * told[1] and plan.start < plan.end:
            return False
        self._told = (is_falling, plan.end)
        return True

    def tell(self, logbook: Logbook, plan: Plan) -> None:
        """Write a new plan as a line for the user and as a decision, with what it was made from."""
        if plan.start >= plan.end:
            text = f"the time of {duration(self.timing.seconds)} is over"
        elif plan.start == plan.hold:
            text = f"the learning rate falls to zero until iteration {plan.end:,}"
        else:
            text = f"about {plan.end:,} iterations; the learning rate begins to fall after {plan.hold:,}"
        before = self.plans[-2].end if len(self.plans) > 1 else None
        evidence = {"factor": plan.factor, "hold": plan.hold, "spent_s": self.spent, "seconds_per_it": self.pace}
        entry = {"knob": None, "old": before, "new": plan.end, "action": "plan", "reason": text}
        if self._is_news(plan):
            logbook.info(f"train.end_at: {text}.")
        logbook.decision(plan.start, {"automation": "end_at", **entry, "evidence": evidence})

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return the time spent, what was measured, and every plan so far."""
        return {
            "seconds": self.timing.seconds,
            "share": self.timing.share,
            "spent": self.spent,
            "aside": self._aside,
            "pace": self.pace,
            "costs": {duty: list(cost) for duty, cost in self._costs.items()},
            "plans": [list(astuple(plan)) for plan in self.plans],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, beside the time that this start has taken.

        The pace is measured anew: what is between two starts is no training.
        """
        self._before, self._aside, self.pace = state["spent"], state["aside"], state["pace"]
        self._costs = {duty: list(cost) for duty, cost in state["costs"].items()}
        self.plans = [Plan(*plan) for plan in state["plans"]]
        self._is_changed = (state["seconds"], state["share"]) != (self.timing.seconds, self.timing.share)
        self._marks, self._next_look = [], 0
