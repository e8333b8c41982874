"""Parser errors as clear messages with the right line."""

import pytest
import yaml

from traiNNer.config.yaml.errors import explain
from traiNNer.config.yaml.hidden import Source


def found(text: str) -> tuple[int | None, str]:
    with pytest.raises(yaml.YAMLError) as caught:
        yaml.safe_load(text)
    return explain(caught.value, Source(text))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: c: d\n", 2, "a ':' where no key can stand"),
        ('a: "C:\\photos"\n', 1, "column 7: a backslash in double quotes starts an escape; use single quotes, or / in"),
        ('a: "data\\users"\n', 1, "column 9: a backslash in double quotes starts an escape"),
        ('a: 1\nb: "open\nc: 2\nd: 3\n', 2, "a quote is opened here and never closed"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "a bracket or brace is not closed"),
        ("a:\n  b: 1\n c: 2\n", 3, "the indentation does not fit"),
        ("a: 1\nb: @c\n", 2, "put the text in quotes"),
        ("a: 1\nb\nc: 2\n", 2, "a key without ': ' behind it"),
        ("a: !x!y z\n", 1, "tags are not allowed"),
        ("a: 1\nb: !!python/name:os.x\n", 2, "tags are not allowed"),
        ("a:\n  b: 1\n\tc: 2\n", 3, "a tab in the indentation (column 1); use spaces"),
    ],
)
def test_error_is_reported_with_its_line(text, line, words):
    at, message = found(text)
    assert at == line
    assert words in message


def test_tab_is_located_on_its_own_line():
    mark = yaml.Mark("", 0, 2, 0, None, None)
    error = yaml.MarkedYAMLError(problem="expected <block end>", problem_mark=mark)
    assert explain(error, Source("a:\n \tb: 1\nc: 2")) == (2, "a tab in the indentation (column 2); use spaces.")
    assert explain(error, Source("a:\nb:\t1\nc:\t2"))[1].startswith("the indentation does not fit")


def test_unknown_errors_propagate():
    mark = yaml.Mark("", 0, 4, 0, None, None)
    assert explain(yaml.MarkedYAMLError(problem="is odd", problem_mark=mark), Source("")) == (5, "is odd.")
    assert explain(yaml.YAMLError("is odd"), Source("")) == (None, "is odd")
