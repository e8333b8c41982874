"""From what was measured to decisions with their reasons."""

from traiNNer.measuring.measured import Comparison, Crop, Fit, Measured, Pace, Trials
from traiNNer.utils.host import cores
from traiNNer.zero_config.budget import decide_end
from traiNNer.zero_config.draft import Draft
from traiNNer.zero_config.plan import Plan, duration
from traiNNer.zero_config.presets import RATE, STOPPING

FACTORS = ((1, 2.5, 5, 10, 20, 40), (1, 5, 10, 20), (2.5, 10, 20))
"""Learning rates that are tried, as multiples of the convenience preset's: as many as there is time for."""
GIGABYTE = 2**30


def decide_measured(draft: Draft, found: Measured) -> None:
    """Put the measured values into the draft, with what was measured beside them."""
    if found.fit:
        _decide_batch(draft, found.fit)
    if found.tile is not None:
        draft.decide("val.tile_size", found.tile, "the largest image does not fit into memory as a whole")
    if found.crop:
        _decide_crop(draft, found.crop)
    for setting in found.settings:
        _decide_setting(draft, setting)
    if found.pace:
        _decide_workers(draft, found.pace)
    if found.trials and found.trials.best is not None:
        _decide_rate(draft, found.trials, found.trials.best)


def _decide_batch(draft: Draft, fit: Fit) -> None:
    if draft.is_given("datasets.train.batch_size_per_gpu"):
        return
    train = draft.checked().options.datasets["train"]
    batch = train.batch_size_per_gpu * train.accum_iter
    size = min(fit.size, batch)
    memory = f"{fit.used / GIGABYTE:.1f} of {fit.total / GIGABYTE:.1f} GB" if fit.total else "fits"
    failed = f"; {fit.failed} do not fit" if fit.failed else ""
    draft.decide("datasets.train.batch_size_per_gpu", size, f"crops per micro-batch, tested: {memory}{failed}")
    if not draft.is_given("datasets.train.accum_iter"):
        reason = f"micro-batches per step: {batch} crops"
        draft.decide("datasets.train.accum_iter", batch // size, reason)


def _decide_crop(draft: Draft, crop: Crop) -> None:
    usual = next(iter(crop.step_s))
    if crop.side != usual:
        faster = crop.step_s[usual] / crop.step_s[crop.side]
        reason = f"side of the crops; {faster:.1f} times as many steps as with {usual}"
        draft.decide("datasets.train.lq_size", crop.side, reason)


def _decide_setting(draft: Draft, setting: Comparison) -> None:
    for key, value in setting.changes.items():
        if setting.is_taken:
            draft.decide(key, value, setting.note)
        elif draft.reasons.get(key) == "" and draft.value(key) != value:
            draft.decide(key, draft.value(key), f"{setting.title}: {setting.note}")


def _decide_workers(draft: Draft, pace: Pace) -> None:
    tried = ", ".join(f"{count}: {speed:.2f} it/s" for count, speed in pace.tried.items())
    waiting = f"; {pace.waiting:.0%} of the time is waiting for images" if pace.waiting >= 0.005 else ""
    reason = f"data workers. Measured: {tried}{waiting}"
    draft.decide("datasets.train.num_worker_per_gpu", pace.workers, reason)


def _decide_rate(draft: Draft, trials: Trials, best: float) -> None:
    draft.decide("train.optim_g.lr", best, describe_trials(trials, best))


def describe_trials(trials: Trials, best: float) -> str:
    """Return what the trials showed: `best of 6 after 112 iterations: 28.31 dB (0.002: 28.12)`."""
    last = trials.last()
    others = ", ".join(f"{rate:g}: {score:.2f}" for rate, score in last.items() if rate != best)
    beside = f" ({others})" if others else ""
    return f"best of {len(trials.scores)} after {trials.lengths[-1]} iterations: {last[best]:.2f} dB{beside}"


def decide_plan(draft: Draft, plan: Plan, left_s: float) -> None:
    """Put a plan for a budget, of which so many seconds are left, into the draft."""
    if draft.value("train.end_at"):
        decide_end(draft, left_s, f"what is left of the budget: about {plan.total_iter:,} iterations")
    else:
        draft.decide("train.total_iter", plan.total_iter, f"iterations: fits {duration(left_s)}")
    draft.decide("train.warmup_iter", plan.warmup_iter, "iterations over which the learning rate rises from zero")
    draft.decide("val.val_freq", plan.val_freq, f"iterations between validations: {plan.validating:.0%} of the time")
    draft.decide(f"{STOPPING}.patience", plan.patience, "a fifth of the run, and five validations at least")
    draft.decide(f"{RATE}.plateau_patience", plan.plateau_patience, "a twentieth of the run")
    draft.decide("logger.save_checkpoint_freq", plan.save_freq, "iterations between checkpoints")


def workers_to_try() -> list[int]:
    """Return the numbers of data workers that are worth a trial here."""
    usable = cores().usable
    return sorted({min(usable, 2), min(usable, 8)})  # besides none
