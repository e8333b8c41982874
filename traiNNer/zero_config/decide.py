"""From what was measured to decisions with their reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from traiNNer.config.draft import Draft
from traiNNer.config.presets import CLIPPING, RATE, STOPPING
from traiNNer.report.machine import cores
from traiNNer.zero_config.plan import Costs, Plan, duration

FACTORS = ((1, 2.5, 5, 10, 20, 40), (1, 5, 10, 20), (2.5, 10, 20))
"""Rates that are tried, as multiples of the convenience preset's: as many as there is time for."""
GIGABYTE = 2**30


@dataclass(frozen=True)
class Measured:
    """What the measuring process found, by name."""

    found: Mapping[str, Any]

    @property
    def costs(self) -> Costs:
        """What a run costs."""
        pace = self.found["pace"]
        return Costs(
            it_per_s=pace["it_per_s"],
            validation_s=pace["validation_s"],
            first_validation_s=pace["first_validation_s"],
            start_s=self.found["ready"] + pace["decode_s"],
            save_s=pace["save_s"],
        )

    @property
    def rate(self) -> float | None:
        """The learning rate that the trials chose; None when there were none."""
        return (self.found.get("rates") or {}).get("best")

    @property
    def trials_s(self) -> float:
        """Seconds that the trials took."""
        return (self.found.get("rates") or {}).get("seconds", 0.0)


def decide_measured(draft: Draft, measured: Measured) -> None:
    """Put the measured values into the draft, with what was measured beside them."""
    found = measured.found
    if found.get("fit"):
        _decide_batch(draft, found["fit"])
    if found.get("tile") is not None:
        draft.decide("val.tile_size", found["tile"], "the largest image does not fit into memory as a whole")
    if found.get("crop"):
        _decide_crop(draft, found["crop"])
    for setting in found["setting"]:
        _decide_setting(draft, setting)
    pace = found.get("pace")
    if pace:
        tried = ", ".join(f"{count}: {speed:.2f} it/s" for count, speed in pace["tried"].items())
        waiting = f"; {pace['waiting']:.0%} of the time is waiting for images" if pace["waiting"] >= 0.005 else ""
        draft.decide(
            "datasets.train.num_worker_per_gpu", pace["workers"], f"reading processes. Measured: {tried}{waiting}"
        )
    if measured.rate is not None:
        draft.decide("train.optim_g.lr", measured.rate, describe_trials(found["rates"]))
        limit = draft.checked().options.train.grad_clip_max_norm
        draft.decide(
            f"{CLIPPING}.max_threshold", limit, "the limit that the rates were tried with; never less clipping"
        )


def _decide_batch(draft: Draft, fit: Mapping[str, int]) -> None:
    if draft.is_given("datasets.train.batch_size_per_gpu"):
        return
    train = draft.checked().options.datasets["train"]
    batch = train.batch_size_per_gpu * train.accum_iter
    size = min(fit["size"], batch)
    memory = f"{fit['used'] / GIGABYTE:.1f} of {fit['total'] / GIGABYTE:.1f} GB" if fit["total"] else "fits"
    failed = f"; {fit['failed']} do not fit" if fit["failed"] else ""
    draft.decide("datasets.train.batch_size_per_gpu", size, f"crops at a time, tested: {memory}{failed}")
    if not draft.is_given("datasets.train.accum_iter"):
        draft.decide("datasets.train.accum_iter", batch // size, f"added up to steps of {batch} crops")


def _decide_crop(draft: Draft, crop: Mapping[str, Any]) -> None:
    steps = dict(crop["steps"])
    usual = next(iter(steps))
    if crop["side"] != usual:
        faster = steps[usual] / steps[crop["side"]]
        reason = f"side of the crops; {faster:.1f} times as many steps as with {usual}"
        draft.decide("datasets.train.lq_size", crop["side"], reason)


def _decide_setting(draft: Draft, setting: Mapping[str, Any]) -> None:
    for key, value in setting["changes"].items():
        if setting["is_taken"]:
            draft.decide(key, value, setting["note"])
        elif draft.reasons.get(key) == "" and draft.value(key) != value:
            draft.decide(key, draft.value(key), f"{setting['title']}: {setting['note']}")


def describe_trials(rates: Mapping[str, Any]) -> str:
    """Return what the trials showed: `best of 6 after 112 iterations: 28.31 dB (0.002: 28.12)`."""
    rounds = len(rates["lengths"])
    last = {rate: scores[rounds - 1] for rate, scores in rates["scores"] if len(scores) >= rounds}
    best = rates["best"]
    others = ", ".join(f"{rate:g}: {score:.2f}" for rate, score in last.items() if rate != best)
    beside = f" ({others})" if others else ""
    return f"best of {len(rates['scores'])} after {rates['lengths'][-1]} iterations: {last[best]:.2f} dB{beside}"


def decide_plan(draft: Draft, plan: Plan, budget_s: float) -> None:
    """Put a plan for a budget into the draft."""
    reason = f"fits {duration(budget_s)}"
    draft.decide("train.total_iter", plan.total_iter, f"iterations: {reason}")
    draft.decide("train.warmup_iter", plan.warmup_iter, "iterations over which the rate rises from zero")
    draft.decide("val.val_freq", plan.val_freq, f"iterations between validations: {plan.validating:.0%} of the time")
    draft.decide(f"{STOPPING}.patience", plan.patience, "a fifth of the run, and five validations at least")
    draft.decide(f"{RATE}.plateau_patience", plan.plateau_patience, "a twentieth of the run")
    draft.decide("logger.save_checkpoint_freq", plan.save_freq, "iterations between checkpoints")


def workers_to_try() -> list[int]:
    """Return the numbers of reading processes that are worth a trial here."""
    usable = cores().usable
    return sorted({min(usable, 2), min(usable, 8)})  # besides none
