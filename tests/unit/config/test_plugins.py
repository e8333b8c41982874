import sys
from pathlib import Path

import pytest

from traiNNer.registry import LOSSES
from traiNNer.utils import plugin_files

PLUGIN = """\
from traiNNer.registry import LOSSES

@LOSSES.register()
class MyHuberLoss:
    def __init__(self, delta: float = 0.1) -> None: ...
"""


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch, tmp_path):
    """Remove the plugins of a test afterwards; keep all other modules (torch cannot be loaded twice)."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def with_plugins(base, *files):
    return base.replace("type: L1Loss", "{type: MyHuberLoss, delta: 0.5}") + f"plugins: [{', '.join(files)}]\n"


def fails(load, base, tmp_path, body):
    """Import a plugin and return the error that its function raises."""
    (tmp_path / "failing_plugin_of_test.py").write_text(f"from traiNNer import registry\n\ndef fail():\n    {body}\n")
    load(base + "plugins: [failing_plugin_of_test.py]\n")
    import failing_plugin_of_test

    with pytest.raises((KeyError, ValueError)) as caught:
        failing_plugin_of_test.fail()
    return caught.value


@pytest.mark.parametrize("body", ["raise KeyError('x')", "import json; json.loads('{')"])
def test_plugin_error_is_reported_with_its_line(load, base, tmp_path, body):
    error = fails(load, base, tmp_path, body)
    assert plugin_files.is_raised_by_plugin(error)
    assert plugin_files.place_of(error) == "failing_plugin_of_test.py line 4"


def test_error_raised_by_our_code_is_not_blamed_on_the_plugin(load, base, tmp_path):
    error = fails(load, base, tmp_path, "registry.LOSSES['no such loss']")
    assert not plugin_files.is_raised_by_plugin(error)
    assert plugin_files.place_of(error) == "failing_plugin_of_test.py line 4"


def test_error_without_plugin_names_the_raising_line():
    with pytest.raises(KeyError) as caught:
        LOSSES["no such loss"]
    assert not plugin_files.is_raised_by_plugin(caught.value)
    assert plugin_files.place_of(caught.value).startswith("registry.py line ")


def test_plugin_registers_beside_the_option_file(load, base, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "my_plugin_of_test.py").write_text(PLUGIN)
    text = with_plugins(base, "own/my_plugin_of_test.py")
    assert load(text).options.train.losses[0].plain() == {"delta": 0.5}
    assert load(text).options.train.losses[0].type == "myhuberloss", "a second load must not import it again"
    import my_plugin_of_test

    assert my_plugin_of_test.MyHuberLoss is LOSSES["myhuberloss"].builder, "worker processes must find it by name"


def test_taken_name_does_not_replace_a_module(load, base, tmp_path):
    (tmp_path / "json.py").write_text(PLUGIN)
    load(with_plugins(base, "json.py"))
    import json

    assert json.loads("1") == 1


def test_its_own_options_are_checked(problems, base, tmp_path):
    (tmp_path / "p.py").write_text(PLUGIN)
    found = problems(with_plugins(base, "p.py").replace("delta: 0.5", "detla: 0.5"))
    assert found == [(19, "train.losses[0].detla", "unknown option; did you mean 'delta'?")]


FUNCTION = """from torch import Tensor

from traiNNer.registry import LOSSES


@LOSSES.register()
def distance(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().mean()
"""
BROKEN = {
    "raises": ("import os\n\nraise KeyError('x')\n", "cannot be imported: p.py line 3: KeyError: 'x'"),
    "syntax": ("x = 1\ndef f(:\n", "cannot be imported: p.py line 2: SyntaxError: invalid syntax"),
    "import": ("import no_such_thing\n", "p.py line 1: ModuleNotFoundError: No module named 'no_such_thing'"),
    "exits": ("import sys\nsys.exit(3)\n", "cannot be imported: p.py line 2: SystemExit: 3"),
    "function": (FUNCTION, "p.py line 6: TypeError: distance: options are numbers, texts, booleans and lists of them"),
    "untyped": (PLUGIN.replace(": float", ""), "p.py line 3: TypeError: MyHuberLoss: parameter 'delta=0.1' must be"),
}


@pytest.mark.parametrize(("text", "words"), BROKEN.values(), ids=BROKEN)
def test_broken_plugin_is_reported_with_its_line(problems, base, tmp_path, text, words):
    (tmp_path / "p.py").write_text(text)
    found = {key: message for _, key, message in problems(with_plugins(base, "p.py"))}
    assert words in found["plugins[0]"]
    assert len(found) == 1  # other errors may be caused by the missing plugin


def test_missing_plugin_suggests_similar_names(problems, base, tmp_path):
    (tmp_path / "my_losses.py").write_text(PLUGIN)
    found = {key: message for _, key, message in problems(with_plugins(base, "my_loses.py"))}
    assert found["plugins[0]"] == (f"{tmp_path / 'my_loses.py'} does not exist; nearest: {tmp_path / 'my_losses.py'}")
