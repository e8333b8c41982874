"""The line that shows the progress of training."""

import math
from collections.abc import Mapping

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

LEAST_BAR = 6
"""Columns of the screen that are left to the bar, with the space beside it."""


class FittingColumn(ProgressColumn):
    """`60/240  25%  10.49 it/s  eta 0:20  loss 0.0295  lr 4.73e-03`: whole parts, as many as the screen is wide."""

    def __init__(self, console: Console) -> None:
        super().__init__(Column(no_wrap=True))
        self.console = console

    def render(self, task: Task) -> Text:
        """Return the parts that fit; the last ones are left out."""
        total = f"{task.total or 0:,.0f}"
        parts = [f"{task.completed:,.0f}".rjust(len(total)) + f"/{total}", f"{task.percentage:3.0f}%"]
        if task.speed:
            parts.append(f"{task.speed:.2f} it/s")
        if task.time_remaining is not None:
            parts.append(f"eta {duration(task.time_remaining)}")
        text = ""
        for part in (*parts, *task.description.split("  ")):
            joined = f"{text}  {part}" if text else part
            if cell_len(joined) > self.console.width - LEAST_BAR:
                break
            text = joined
        return Text(text)


def progress_bar(console: Console) -> Progress:
    """Return a bar with how far it is, the pace, and what is said beside it, in one line of any screen."""
    columns = (BarColumn(bar_width=None), FittingColumn(console))
    return Progress(*columns, console=console, transient=True, refresh_per_second=4)


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
