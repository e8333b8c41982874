"""Whatever a user's dataset raises travels from a worker and names the image and the line of the plugin."""

import errno
import pickle
import sys

import pytest

from traiNNer.errors import DataError
from traiNNer.utils import plugin_files
from traiNNer.utils.plugin_errors import data_error, naming

PLUGIN = """
from traiNNer.errors import DataError
from traiNNer.utils.files import nearest_existing

class Odd(Exception):
    def __init__(self, first, second):
        self.lock = lambda: None
        super().__init__(first)

class Silent(Exception):
    def __str__(self):
        raise ValueError

class OwnDataError(DataError):
    def __init__(self, first, second):
        super().__init__(first)

def odd(): raise Odd("planted", 2)
def silent(): raise Silent
def leave(): raise SystemExit(3)
def own(): raise OwnDataError("planted", 2)
def ours(): nearest_existing(4)
def read(): open("/no/such/file")
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin_files, "_imported", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "raising_plugin_of_test.py").write_text(PLUGIN)
    yield plugin_files.import_file(tmp_path / "raising_plugin_of_test.py")
    del sys.modules["raising_plugin_of_test"]


def raised(call):
    try:
        call()
    except BaseException as error:
        return data_error(error, lambda: "d/x.png")
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("odd", "Odd: planted"),
        ("silent", "Silent: an error without words"),
        ("leave", "SystemExit: 3"),
        ("ours", "AttributeError: "),
    ],
)
def test_plugin_error_names_image_and_line(plugin, name, words):
    error = raised(getattr(plugin, name))
    line = 1 + PLUGIN.splitlines().index(next(text for text in PLUGIN.splitlines() if f"def {name}()" in text))
    assert type(error) is DataError
    assert str(error).startswith(f"d/x.png cannot be used: raising_plugin_of_test.py line {line}: {words}")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_own_kind_of_data_error_can_travel(plugin):
    error = raised(plugin.own)
    assert (type(error), str(error)) == (DataError, "planted")


def test_read_error_of_a_plugin_names_its_line(plugin):
    assert str(raised(plugin.read)).startswith("d/x.png cannot be read: raising_plugin_of_test.py line ")


def test_our_own_mistake_stays_what_it_is_and_can_travel():
    class Local(Exception):
        """Cannot be pickled."""

    def fail(error):
        raise error

    plain = raised(lambda: fail(ZeroDivisionError("planted")))
    assert type(pickle.loads(pickle.dumps(plain))) is ZeroDivisionError
    assert "in fail" in plain.__notes__[0]
    local = raised(lambda: fail(Local("planted")))
    assert str(pickle.loads(pickle.dumps(local))) == "Local: planted"
    assert type(raised(lambda: fail(MemoryError()))) is MemoryError


def test_description_that_fails_does_not_hide_the_error():
    error = data_error(OSError(errno.EIO, "Input/output error"), lambda: 1 / 0)
    assert str(error) == "an image cannot be read: [Errno 5] Input/output error"


def test_block_raises_what_names_the_image(plugin):
    with (
        pytest.raises(DataError, match=r"d/x\.png cannot be used: raising_plugin_of_test.py line"),
        naming(lambda: "d/x.png"),
    ):
        plugin.odd()
