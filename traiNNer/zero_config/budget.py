"""What a run within a time budget is trained with, where that differs from the presets.

Only parts that helped when they were measured are here; the table is in docs/zero_config.md.
"""

from collections.abc import Mapping
from typing import Any

from traiNNer.doctor.machine import device
from traiNNer.traits import Recipe
from traiNNer.zero_config.draft import Draft
from traiNNer.zero_config.plan import Plan, duration

USUAL = "paragonsr2_nano"
SMALL: dict[str, Any] = {"type": "compact", "num_feat": 32, "num_conv": 8}
SMALL_UNTIL_S = 3 * 3600
"""Budget up to which a processor without an accelerator trains the small network: it is five times as fast."""
CROP = 32
"""Side of the crops, in LQ pixels, of the small network on a processor."""
WARMUP = 30
EMA_SHARE = 0.015
"""Window of the weights' average, as a share of the run."""
DECAY = 0.95
"""Share of the run in which the learning rate falls: all of it but the start."""


def network_within(budget_s: float | None) -> tuple[dict[str, Any], str]:
    """Return the network for a run of so many seconds on this machine, with its options, and why."""
    if budget_s is None:
        return {"type": USUAL}, ""
    kind = device().kind
    if kind != "cpu" or budget_s > SMALL_UNTIL_S:
        return {"type": USUAL}, f"{duration(budget_s)} on {kind} are enough for it"
    return SMALL, f"small and plain: the best in {duration(budget_s)} on a processor; --arch {USUAL} otherwise"


def is_small(network: Mapping[str, Any] | None) -> bool:
    """Whether this is the network for a processor."""
    return network == SMALL


def decide_end(draft: Draft, seconds: float, about: str = "the budget") -> None:
    """Let the clock end the run after so many seconds, and the learning rate fall from the start to then."""
    draft.decide("train.end_at", f"{seconds:.0f}s", about)
    draft.decide("train.decay_share", DECAY, "share of the run in which the learning rate falls to zero")


def decide_recipe(draft: Draft, recipe: Recipe) -> None:
    """Put into the draft what a run within a budget is trained with, before its length is known."""
    draft.decide("train.optim_g.type", "Muon", "short runs get further with it than with AdamW")
    draft.decide("train.optim_g.lr", recipe.muon_lr, "highest learning rate; the rate automation guards it")
    draft.decide("train.optim_g.momentum", 0.9)
    draft.decide("train.optim_g.weight_decay", 0.0)
    draft.decide("train.warmup_iter", WARMUP, "iterations over which the learning rate rises from zero")


def decide_average(draft: Draft, plan: Plan) -> None:
    """Let the window of the average follow from the length of the run."""
    decay = 1 - 1 / max(10.0, EMA_SHARE * plan.total_iter)
    draft.decide("train.ema_decay", round(decay, 4), f"EMA of the weights over {EMA_SHARE:.1%} of the run")
