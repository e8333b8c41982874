"""What a name holds never commands the terminal that shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traiNNer.utils.printable import printable, printable_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name é 名 🐘.png", "plain name é 名 🐘.png"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("back\b\rspace", r"back\x08\x0dspace"),
        ("turned \u202egnp.exe", r"turned \u202egnp.exe"),
        ("\udcff.png", r"\xff.png"),
        ("\U000e0041", r"\U000e0041"),
        (":x: [red]a[/red]", ":x: [red]a[/red]"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("wide\u3000space", "wide\u3000space"),
    ],
)
def test_what_has_no_picture_is_escaped(name, shown):
    assert printable(name) == shown


def test_line_breaks_stay_in_texts_and_not_in_names():
    assert printable("two\n\tlines") == "two\n\tlines"
    assert printable_name("two\n\tlines") == r"two\n\tlines"


@given(st.text() | st.text(st.characters(categories=["Cc", "Cs", "Cf"])))
def test_nothing_that_commands_is_left(text):
    shown = printable(text)
    assert not {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))} & set(shown)
    shown.encode("utf-8")
