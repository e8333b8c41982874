import pytest

from traiNNer.utils.durations import duration, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("30 min", 1800),
        ("8h", 28800),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1.5h", 5400),
        ("10", 600),
    ],
)
def test_durations_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "30x", "m", "-5m", "1e3"])
def test_other_texts_are_refused_with_examples(text):
    with pytest.raises(ValueError, match=r"not a duration\. Write 90s, 30m, 8h, 1h30m or 2d\."):
        seconds_of(text)


@pytest.mark.parametrize("text", ["0", "0s", "0h0m", "9" * 400])
def test_nothing_and_forever_are_refused(text):
    with pytest.raises(ValueError, match="must be longer than nothing"):
        seconds_of(text)


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (1800, "30 min"), (3600, "1 h"), (5400, "1 h 30 min")])
def test_durations_are_said(seconds, text):
    assert duration(seconds) == text
