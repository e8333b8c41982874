import pytest

from traiNNer.config.yaml.scalars import plain_scalar

VALUES = {
    "": None, "~": None, "Null": None, "true": True, "FALSE": False, "yes": "yes", "12": 12, "-3": -3, "+4": 4,
    "0x1F": 31, "0o17": 15, "1e-4": 1e-4, ".5": 0.5, "7.": 7.0, "1e": "1e", "2024-01-01": "2024-01-01", "0": 0,
}  # fmt: skip
REFUSED = {
    "012": 'is ambiguous (octal elsewhere). Write 12, or "012" for a text.',
    "-007": 'is ambiguous (octal elsewhere). Write -7, or "-007" for a text.',
    "1:30": 'is ambiguous (base 60 elsewhere). Write a plain number, or "1:30" for a text.',
    "1e999": "is too large for a number.",
    "1" * 31: "has more than 30 digits.",
}


@pytest.mark.parametrize(("word", "value"), VALUES.items())
def test_values(word, value):
    found = plain_scalar(word)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("word", "message"), REFUSED.items())
def test_ambiguous_yaml_is_refused(word, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        plain_scalar(word)
    assert str(caught.value) == message


def test_thirty_digits_are_a_number():
    assert plain_scalar("1" * 30) == int("1" * 30)
