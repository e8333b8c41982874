"""What a log line says of the losses of one or two networks."""

import io
import re

import pytest

from traiNNer.engine.log.progress import describe, progress_bar
from traiNNer.utils.console import PlainConsole

PACE = {"lr": 1e-4, "it_per_s": 2.0, "data_wait": 0.0}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"loss/l1": 0.5}, "loss 0.5000  lr"),
        ({"loss/l1": 0.5, "loss/gan": 0.1, "loss/total": 0.6}, "loss 0.6000 (l1 0.5000, gan 0.1000)  lr"),
        ({"loss/gan": 0.5, "loss/net_d/real": 0.1}, "loss 0.5000 (gan 0.5000, net_d/real 0.1000)  lr"),
        ({"loss/net_d/real": 0.1}, "loss - (net_d/real 0.1000)  lr"),
        ({"loss/l1": 0.5, "net_d/accuracy": 0.75}, "loss 0.5000  net_d right 75%  lr"),
        ({}, "loss nan  lr"),
    ],
)
def test_loss_is_that_of_the_generator(values, text):
    assert describe(values | PACE, 5.0)[0].startswith(text)


TEXT = "loss 0.0295 (l1 0.0250, gan 0.0045)  lr 4.73e-03  data 2%"


@pytest.mark.parametrize(("width", "parts"), [(30, 1), (60, 2), (80, 3), (100, 5), (160, 5)])
def test_bar_leaves_out_whole_parts_and_cuts_no_number(width, parts):
    console = PlainConsole(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bar = progress_bar(console)
    bar.add_task(TEXT, total=1_000_000, completed=250_000)
    with console.capture() as shown:
        console.print(bar.get_renderable())
    (line,) = shown.get().splitlines()
    assert len(line) <= width
    whole = ["250,000/1,000,000", "25%", *TEXT.split("  ")]
    said = re.split("  +", re.sub("[━╸╺]+", "", line).strip())
    assert said == whole[:parts]
