"""Plugin files: imported once, under a name that other processes find, with errors attributed correctly."""

import subprocess
import sys
from pathlib import Path

import pytest

from traiNNer.registry import LOSSES
from traiNNer.utils import plugin_files
from traiNNer.utils.plugin_files import import_file, imported_files, is_raised_by_plugin, place_of


@pytest.fixture(autouse=True)
def _fresh(monkeypatch, tmp_path):
    """Remove the modules that a test imports; keep all others."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(plugin_files, "_imported", {})
    yield
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def raised(call) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whichever it is
        call()
    return caught.value


def test_plugin_file_is_imported_once_under_its_own_name(tmp_path):
    path = written(tmp_path, "plugin_of_this_test.py", "calls = []\ncalls.append(1)\n")
    module = import_file(path)
    assert import_file(path) is module
    assert module.calls == [1]
    assert sys.modules["plugin_of_this_test"] is module
    assert imported_files() == [(str(path), "plugin_of_this_test")]


def test_plugins_of_one_folder_import_each_other(tmp_path):
    written(tmp_path, "shared_of_this_test.py", "value = 5\n")
    user = written(tmp_path, "user_of_this_test.py", "from shared_of_this_test import value\n")
    assert import_file(user).value == 5


@pytest.mark.parametrize("name", ["json.py", "2x-net.py"])
def test_taken_or_empty_name_is_replaced(tmp_path, name):
    import json

    module = import_file(written(tmp_path, name, "value = 1\n"))
    assert module.__name__ == f"trainner_plugin_0_{Path(name).stem}"
    assert sys.modules["json"] is json
    assert str(tmp_path) not in sys.path


def test_another_process_chooses_the_name(tmp_path):
    assert (
        import_file(written(tmp_path, "a_of_this_test.py", ""), "chosen_of_this_test").__name__ == "chosen_of_this_test"
    )


def test_failed_plugin_import_leaves_no_trace_and_is_retried(tmp_path):
    path = written(tmp_path, "broken_of_this_test.py", "raise ValueError('x')\n")
    assert isinstance(raised(lambda: import_file(path)), ValueError)
    assert "broken_of_this_test" not in sys.modules
    assert imported_files() == []
    path.write_text("value = 1\n")
    assert import_file(path).value == 1


def test_non_python_file_is_reported(tmp_path):
    with pytest.raises(ImportError, match="is not a Python file"):
        import_file(written(tmp_path, "notes.txt", ""))


BODY = """from traiNNer.registry import LOSSES
import json


def own():
    raise KeyError("x")


def of_a_library():
    json.loads("{")


def of_ours():
    LOSSES["no such loss"]
"""


def test_error_is_attributed_to_its_origin(tmp_path):
    module = import_file(written(tmp_path, "body_of_this_test.py", BODY))
    found = [(is_raised_by_plugin(error), place_of(error)) for error in map(raised, (module.own, module.of_a_library))]
    assert found == [(True, "body_of_this_test.py line 6"), (True, "body_of_this_test.py line 10")]
    error = raised(module.of_ours)
    assert (is_raised_by_plugin(error), place_of(error)) == (False, "body_of_this_test.py line 14")


def test_without_a_plugin_our_line_or_the_last_is_named():
    error = raised(lambda: LOSSES["no such loss"])
    assert not is_raised_by_plugin(error)
    assert place_of(error).startswith("registry.py line ")
    outside = raised(lambda: int("x"))
    assert place_of(outside).startswith("test_plugin_files.py line ")
    assert not is_raised_by_plugin(outside)
    assert place_of(ValueError("never raised")) == "line unknown"


def test_another_process_imports_the_same_files_under_the_same_names(tmp_path):
    first = written(tmp_path, "json.py", "value = 1\n")
    import_file(first)
    script = (
        f"from traiNNer.utils.plugin_files import import_files, imported_files\n"
        f"import_files({imported_files()!r})\nprint(imported_files())"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == str(imported_files())
