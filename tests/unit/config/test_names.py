import pytest

from traiNNer.config.names import refusal

REFUSED = [
    "", ".", "..", "../../x", "a/b", "a\\b", "/abs", "C:\\x", "C:", "~", "~/x", "a\0b", "a\nb", "a\tb", "x.", "x ",
    " x", ".hidden", "CON", "con", "nul", "Aux.txt", "COM1", "lpt9.log", "COM¹", "a:b", "a*b", "a?b", 'a"b', "a<b",
    "a>b", "a|b", "a%b", "$HOME", "`id`", "a;b", "a&b", "x" * 101, "x" * 300, "界" * 100, "a\u202eb", "a\u2215b",
    "！", "a\u2028b",
]  # fmt: skip
ACCEPTED = [
    "run", "2x_ParagonSR2-Nano.v1", "с кириллицей", "超分辨率", "日本語 テスト", "été", "क्षेत्र", "run 🚀", "👩‍🚀 net",
    "👍🏽", "a..b", "x" * 100, "control", "com10", "nulls",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    message = refusal(name)
    assert message is not None
    assert "is not allowed. Use letters, digits, space, . _ - (1-100 characters), no path." in message
    assert message.isprintable()


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_and_usable_as_a_folder(name, tmp_path):
    assert refusal(name) is None
    (tmp_path / name).mkdir()


def test_message_shows_the_name():
    assert refusal("../../x") == (
        '"../../x" is not allowed. Use letters, digits, space, . _ - (1-100 characters), no path.'
    )
