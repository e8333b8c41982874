import os
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from traiNNer.utils.bounded import LONGEST_LINE, Misfit, check, parse, read, read_lines


class Point(BaseModel):
    x: int


POINT, ANY = TypeAdapter(Point), TypeAdapter(Any)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"x":' * 100_000, "[" * 10_000 + "]" * 10_000, "", "{", "\xff", "5"])
def test_what_does_not_fit_is_one_line(text):
    with pytest.raises(Misfit) as caught:
        parse(POINT, text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_place_and_reason_are_told():
    assert parse(POINT, '{"x": 3}') == Point(x=3)
    with pytest.raises(Misfit, match=r"^x: Field required$"):
        parse(POINT, "{}")
    with pytest.raises(Misfit, match=r"^x: Input should be a valid integer$"):
        check(POINT, {"x": []})


def test_size_is_bounded_and_pipes_are_not_waited_for(tmp_path):
    path = tmp_path / "p.json"
    path.write_text('{"x": 3}')
    assert read(path, POINT, 8) == Point(x=3)
    with pytest.raises(Misfit, match="larger than 7 bytes"):
        read(path, POINT, 7)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="not a regular file"):
            read(tmp_path / "pipe", POINT, 7)


def test_lines_are_read_one_by_one(tmp_path):
    path = tmp_path / "lines"
    long = b'"' + b"x" * (2 * LONGEST_LINE) + b'"\n'
    path.write_bytes(b'{"a": 1}\n' + b"[" * 10_000 + b"\n" + long + b'\xff\n"\xe2\x80\xa8"\n{"b"')
    found = list(read_lines(path))
    assert [value for _, value in found] == [{"a": 1}, None, None, None, "\u2028", None]
    assert found[0][0] == b'{"a": 1}\n'
    assert found[-1][0] == b'{"b"'
