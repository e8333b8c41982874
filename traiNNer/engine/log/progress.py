"""The line that shows the progress of training."""

import math
from collections.abc import Mapping


def describe(values: Mapping[str, float], eta_s: float) -> tuple[str, str]:
    """Return what a window of training showed, and the pace, in words: `loss 0.0213  lr 2.00e-04`, `6.10 it/s …`."""
    losses = {name.removeprefix("loss/"): value for name, value in values.items() if name.startswith("loss/")}
    loss = losses.pop("total", None)
    single = [f"{name} {value:.4f}" for name, value in losses.items()]
    main = [value for name, value in losses.items() if "/" not in name]
    if loss is None:
        loss = main[0] if main else math.nan
        single = single if len(losses) > len(main) else []
    detail = f" ({', '.join(single)})" if single else ""
    accuracy = values.get("net_d/accuracy")
    detail += f"  net_d right {accuracy:.0%}" if accuracy is not None else ""
    pace = f"{values['it_per_s']:.2f} it/s  data {values['data_wait']:.0%}  eta {duration(eta_s)}"
    # In a window that trained other learners alone there is no loss of the main one.
    shown = f"loss {loss:.4f}" if main or not losses else "loss -"
    return f"{shown}{detail}  lr {values['lr']:.2e}", pace


def duration(seconds: float) -> str:
    """Return a time to go as `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
