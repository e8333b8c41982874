"""Early stopping in real runs that were made flat, or that overfit on few small photos."""

import math

from benchmarks.automations.arms import SMALL, Arm, Case
from benchmarks.automations.figures import HARM, Find, Scope, Table, Wanted, pairs, verdict
from benchmarks.automations.intervals import Interval
from benchmarks.automations.rows import wilson

FLAT_BY, FLAT_SHARE, PATIENCES = 0.6, 0.95, 2


def flat_runs(scope: Scope) -> Wanted:
    """Return runs of the small network that learn nothing after their first fifth."""
    cases = [Case(SMALL, file, seed) for seed in scope.seeds for file in scope.files]
    return [(scope.arms.flat(scope.arms.on(case)), case.seed) for case in cases]


def flat(scope: Scope, find: Find) -> Table:
    """Tell when runs that learn nothing more are stopped."""
    rows, misses, on_time, runs = [], [], 0, 0
    for file in scope.files:
        cases = [Case(SMALL, file, seed) for seed in scope.seeds]
        arms = [(scope.arms.flat(scope.arms.on(case)), case.seed) for case in cases]
        found = [(result, arm.tree["train"]["total_iter"]) for arm, seed in arms if (result := find(arm, seed))]
        shares = [one.iterations / total if one.stops else 1.0 for one, total in found]
        on_time, runs = on_time + sum(share <= FLAT_BY for share in shares), runs + len(shares)
        gave = [one.best - max((s for at, s in one.curve if at <= FLAT_BY * total), default=0) for one, total in found]
        rows += [(file, f"{sum(share <= FLAT_BY for share in shares)} of {len(shares)}", "",
                  " ".join(f"{share:.0%}" for share in shares), f"{max(gave):+.3f}", "")] if found else []  # fmt: skip
    if runs:
        low, high = wilson(on_time, runs)
        is_met = on_time >= FLAT_SHARE * runs
        misses += [] if is_met else [f"flat: {on_time} of {runs} stopped by {FLAT_BY:.0%}"]
        rows.append(("all", f"{on_time} of {runs}", f"{low:.0%} to {high:.0%}", "", "",
                     f">= {FLAT_SHARE:.0%} {verdict(is_met)}"))  # fmt: skip
    head = ("file", f"stopped by {FLAT_BY:.0%}", "95 %", "ended at", "most gained afterwards dB", "target")
    return Table("Flat from 20 % of the run, SmallCNN", head, rows, misses)


def overfit_runs(scope: Scope) -> Wanted:
    """Return runs of the small network on few photos, stopped and whole."""
    cases = [Case(SMALL, file, seed) for seed in scope.seeds for file in scope.files]
    arms = scope.arms
    return [(arms.few(one), case.seed) for case in cases for one in (arms.off(case), arms.on(case))]


def overfit(scope: Scope, find: Find) -> Table:
    """Tell how late overfitting runs are stopped, and what their best weights lack."""
    rows, misses = [], []
    for file in scope.files:
        cases = [Case(SMALL, file, seed) for seed in scope.seeds]
        found = pairs(
            cases,
            lambda case: scope.arms.few(scope.arms.off(case)),
            lambda case: scope.arms.few(scope.arms.on(case)),
            find,
        )
        if not found:
            continue
        patience = _patience(scope.arms.on(cases[0]))
        late = [(on.iterations - off.best_at) / patience if on.stops else math.inf for _, off, on in found]
        short = [off.best - on.best for _, off, on in found]
        is_met = max(late) <= PATIENCES and max(short) <= HARM
        misses += [] if is_met else [f"overfitting, {file}: {max(late):.1f} patiences late, {max(short):+.3f} dB"]
        rows.append(
            (
                file,
                " ".join(str(off.best_at) for _, off, _ in found),
                " ".join(str(on.iterations) for _, _, on in found),
                " ".join(f"{value:.1f}" for value in late),
                str(Interval.of([(off.best - off.score) for _, off, _ in found])),
                str(Interval.of(short)),
                f"<= {PATIENCES} patiences, {HARM} dB {verdict(is_met)}",
            )
        )
    head = ("file", "onset", "ended at", "patiences after the onset", "the whole run loses dB [95 %]",
            "best weights lack dB [95 %]", "target")  # fmt: skip
    return Table("Overfitting on few small photos, SmallCNN", head, rows, misses)


def _patience(arm: Arm) -> int:
    """Return the patience of a run in iterations, at least that of five validations."""
    stopping = arm.tree["train"]["training_automations"]["IntelligentEarlyStopping"]
    return max(stopping["patience"], 5 * arm.tree["val"]["val_freq"])
