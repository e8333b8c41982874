"""Loss weights as what people mean by them: how much each loss pulls at the network."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from traiNNer.engine.control.automation import NEVER, Automation
from traiNNer.engine.control.events import Decision, MeasureTerms, RunStarted, Say, SetKnob, Step, WindowFinished
from traiNNer.engine.control.knobs import LOSS_WEIGHT, Range
from traiNNer.registry import AUTOMATIONS

BATCHES = 32
LOWEST, HIGHEST = 1e-4, 1e4


@AUTOMATIONS.register(name="DynamicLossScheduling")
class DynamicLossScheduling(Automation):
    """Makes `loss_weight` a ratio of gradient norms, once, after warm-up.

    Two losses of weight 1 can differ a thousandfold in how hard they pull. Over 32 batches the gradient norm of every
    loss by itself is measured at the whole network; then each loss gets the factor that makes its gradient as large as
    that of the first pixel loss (of the first loss, without one), so that the weights of the file state the shares. The
    factors stay as they are for the rest of the run. The ratio of norms is also what the adaptive weight of VQGAN
    (Esser, Rombach and Ommer, 2021) and GradNorm (Chen et al., 2018) go by; neither of them stays.

    Args:
        auto_calibrate: Apply the factors, so that `loss_weight` is a ratio of gradient norms; without it the shares are
            only measured and reported.
    """

    title = "loss balance"
    # Options of implementations whose weights go on moving during a run.
    foreign_options = dict.fromkeys(
        ("momentum", "adaptation_rate", "min_weight", "max_weight", "adaptation_threshold", "baseline_iterations"),
        "has no counterpart: weights are calibrated once, by auto_calibrate, and then stay",
    )

    def __init__(self, auto_calibrate: bool = True) -> None:
        self.auto_calibrate = auto_calibrate
        self.every = 1
        with self.remembering():
            self._logs: dict[str, list[float]] = {}
            self._started = -1
            self._done = ""

    def ranges(self, run: RunStarted) -> Mapping[str, Range]:
        """Bound the factors."""
        return {LOSS_WEIGHT + name: Range(LOWEST, HIGHEST, fallback=1.0) for name in run.losses}

    def on_start(self, run: RunStarted) -> Iterable[Decision]:
        """Learn which losses there are; begin at once where there is no warm-up."""
        self._begin_at = run.warmup_iter
        partial = self._partly_active(run)
        self._weights = {name: weight for name, weight in run.losses.items() if weight and name not in partial}
        anchors = [name for name in (run.anchor, *run.later_anchors) if name in self._weights]
        self._anchor = next(iter([*anchors, *self._weights]), None)
        if partial and self._started < 0:
            yield Say(f"{', '.join(partial)}: not active while it measures; the weight stays as it is")
        if len(self._weights) < 2:
            self._done = "one loss, nothing to balance"
            yield Say(f"{self._done}: no effect")
        waits = max(1, min(self._begin_at, BATCHES))
        self.every = NEVER if self._done else BATCHES if self._started >= 0 else waits
        if not self._done and self._begin_at == 0 and self._started < 0:
            yield self._begin(run.iteration)

    def _partly_active(self, run: RunStarted) -> list[str]:
        """Return the losses that are absent in some of the iterations in which it may measure."""
        begin = max(run.iteration, run.warmup_iter) if self._started < 0 else self._started
        measured = range(begin + 1, begin + 2 * BATCHES + 1)  # it may have to wait for the end of a window
        return [name for name in run.losses if not all(run.is_active(name, iteration) for iteration in measured)]

    def on_window(self, event: WindowFinished) -> Iterable[Decision]:
        """Collect the norms; decide when there are enough."""
        if self._done:
            return
        if self._started < 0:
            if event.iteration >= self._begin_at:
                yield self._begin(event.iteration)
            return
        for step in event.steps:
            self._note(step)
        if event.iteration >= self._started + BATCHES:
            yield from self._decide()

    def summary(self) -> str:
        """Return what was done."""
        return self._done or "not measured yet"

    def _begin(self, iteration: int) -> MeasureTerms:
        self._started = iteration
        self.every = BATCHES
        return MeasureTerms(BATCHES)

    def _note(self, step: Step) -> None:
        norms = step.norms or {}
        if step.applied and all(norms.get(name, 0.0) > 0 and math.isfinite(norms[name]) for name in self._weights):
            for name, weight in self._weights.items():
                unit = norms[name] / abs(weight) / self.knobs[LOSS_WEIGHT + name].at()
                self._logs.setdefault(name, []).append(math.log(unit))

    def _decide(self) -> Iterable[Decision]:
        if len(self._logs.get(self._anchor or "", ())) < BATCHES // 2:
            self._done, self.every = "not calibrated", NEVER
            yield Say("too few batches with a gradient of every loss to measure; the weights stay as they are", True)
            return
        anchor = self._logs[self._anchor or ""]
        # Batch by batch, because a hard batch pulls harder through every loss.
        ratios = {
            name: [own - other for own, other in zip(logs, anchor, strict=True)] for name, logs in self._logs.items()
        }
        units = {name: math.exp(midmean(logs)) for name, logs in ratios.items()}
        factors = {name: 1 / unit if self.auto_calibrate else 1.0 for name, unit in units.items()}
        applied = {name: min(max(factor, LOWEST), HIGHEST) for name, factor in factors.items()}
        yield Say(self._table(units, applied))
        for name, factor in applied.items():
            noise = statistics.pstdev(ratios[name]) / math.sqrt(len(anchor))
            evidence = {"estimate": units[name], "se": noise * units[name], "window": len(anchor)}
            yield SetKnob(LOSS_WEIGHT + name, factor, "equal gradient norms for equal weights", evidence)
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self._shares(units, applied).items())
        self._done = f"{'calibrated' if self.auto_calibrate else 'measured'} ({shares})"
        self._logs, self.every = {}, NEVER

    def _shares(self, units: Mapping[str, float], factors: Mapping[str, float]) -> dict[str, float]:
        pulls = {name: abs(weight) * factors[name] * units[name] for name, weight in self._weights.items()}
        return {name: pull / sum(pulls.values()) for name, pull in pulls.items()}

    def _table(self, units: Mapping[str, float], factors: Mapping[str, float]) -> str:
        before, after = self._shares(units, dict.fromkeys(units, 1.0)), self._shares(units, factors)
        head = f"{'loss':<20} {'weight':>8} {'factor':>10} {'before':>7} {'after':>7}"
        rows = [
            f"{name:<20} {weight:>8.3g} {factors[name]:>10.4g} {before[name]:>7.1%} {after[name]:>7.1%}"
            for name, weight in self._weights.items()
        ]
        return "\n".join([f"shares of the gradient over {BATCHES} batches", head, *rows])


def midmean(values: Sequence[float]) -> float:
    """Return the mean of the middle half: nearly as exact as the mean, and no outlier moves it (Tukey 1977)."""
    quarter = len(values) // 4
    return statistics.fmean(sorted(values)[quarter : len(values) - quarter])
