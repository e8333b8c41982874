"""Messages round-trip through the pipe, and nothing else is accepted as a message."""

import pytest

from traiNNer.measuring.measured import Comparison, Crop, Fit, Measured, Pace, Trials
from traiNNer.measuring.messages import (
    Job,
    MessageError,
    Progress,
    Stage,
    encode,
    read_job,
    read_measured,
    read_message,
)

MEASURED = Measured(
    start_s=1.5,
    fit=Fit(4, 10, 20, 8),
    tile=128,
    settings=(Comparison("bf16", {"use_amp": True}, 1.2, float("nan"), False, 'differs "much"', 3.0),),
    crop=Crop(48, {64: 0.4, 48: 0.2}),
    trials=Trials({2e-4: (20.25, 21.0), 8e-3: (float("-inf"),)}, (20, 40), 12.5),
    pace=Pace(2, 3.0, 0.01, {0: 2.5, 2: 3.0}, 18, 6.0, 1.0, 0.5, 0.1, 0.2),
    ended="testing: über",
)
JOB = Job(
    tree={"name": "a", "datasets": {"train": {"lq_size": 48}}, "scheduler": None},
    validated=(40, 50),
    workers=(0, 2),
    decoded_mb=12.5,
    given=("use_amp",),
    rates=((1e-4, 2e-4), (1e-4,)),
    rate_seconds=40.0,
    rate_seconds_at_most=180.0,
    run_s=None,
    crops=(64, 48),
)


@pytest.mark.parametrize("message", [Progress("two\nlines"), Stage("ready"), Stage("done"), Measured()])
def test_message_is_one_line_and_round_trips(message):
    line = encode(message)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert read_message(line) == message


def test_all_measurements_are_returned():
    for read in (read_message, read_measured):
        again = read(encode(MEASURED))
        assert str(again) == str(MEASURED)  # NaN is not equal to itself
        assert list(again.crop.step_s) == [64, 48]


def test_job_round_trips():
    assert read_job(encode(JOB)) == JOB


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON"),
        ('{"tree": {}}', "validated: Field required in "),
        ('{"tree": [], "validated": [1, 2], "workers": [], "decoded_mb": 1}', "tree: Input should be an object"),
        ('{"tree": {}, "validated": [1], "workers": [], "decoded_mb": 1}', r"validated\.1: Field required"),
        (encode(JOB).replace('"crops"', '"sides"'), "sides: Unexpected keyword argument"),
    ],
)
def test_invalid_job_is_named(text, said):
    with pytest.raises(MessageError, match=f"^{said}") as caught:
        read_job(text)
    assert "\n" not in str(caught.value)


def test_job_is_not_a_message():
    with pytest.raises(MessageError, match="Unable to extract tag using discriminator 'kind'"):
        read_message(encode(JOB))
