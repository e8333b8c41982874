"""Components are found by name and imported on demand."""

import sys

import pytest
from pydantic import Field

from traiNNer.registry import StrictOptions, UnknownComponent

PACKAGE = """
from lazy_boxes import REGISTRY
REGISTRY.offer({"RoundBox": "lazy_shapes.round", "square": "lazy_shapes.square", "old": "lazy_shapes.square"}, ["old"])
"""
ROUND = """
from lazy_boxes import REGISTRY

@REGISTRY.register(name="RoundBox")
class RoundBox:
    def __init__(self, radius: int = 3): self.radius = radius
"""
SQUARE = """
from lazy_boxes import REGISTRY

@REGISTRY.register()
class Square: ...

@REGISTRY.register()
class Old: ...
"""


@pytest.fixture
def boxes(tmp_path, monkeypatch):
    """Return a registry whose components are in a package in a folder."""
    (tmp_path / "lazy_shapes").mkdir()
    (tmp_path / "lazy_boxes.py").write_text(
        "from traiNNer.registry import Registry\nfrom traiNNer.traits import Traits\n"
        "REGISTRY = Registry('box', Traits, 'lazy_shapes')\n"
    )
    for name, text in (("__init__", PACKAGE), ("round", ROUND), ("square", SQUARE)):
        (tmp_path / "lazy_shapes" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    import lazy_boxes

    yield lazy_boxes.REGISTRY
    for name in [name for name in sys.modules if name.startswith("lazy_")]:
        del sys.modules[name]


def imported() -> set[str]:
    return {name for name in sys.modules if name.startswith("lazy_shapes.")}


def test_names_import_no_component(boxes):
    assert boxes.names() == ("RoundBox", "square")
    assert "ROUND_BOX" in boxes
    assert "triangle" not in boxes
    assert imported() == set()


def test_build_imports_only_its_module(boxes):
    assert boxes.build("round_box", {"radius": 5}).radius == 5
    assert imported() == {"lazy_shapes.round"}


def test_unknown_name_suggests_the_nearest_without_imports(boxes):
    with pytest.raises(UnknownComponent, match=r"no such box; did you mean 'square'\?   known: RoundBox, square"):
        _ = boxes["sqare"]
    assert imported() == set()


def test_iteration_imports_all(boxes):
    assert [component.name for component in boxes] == ["RoundBox", "old", "square"]


def test_unlisted_values_are_possible(boxes):
    assert boxes["old"].name == "old"
    assert "old" not in boxes.names()


@pytest.mark.parametrize("is_loaded", [False, True])
def test_plugin_cannot_reuse_a_builtin_name(boxes, is_loaded):
    class RoundBox: ...

    if is_loaded:
        _ = boxes["RoundBox"]
    with pytest.raises(ValueError, match="box 'roundbox' is registered twice"):
        boxes.register(RoundBox)


def test_plugin_is_listed_with_the_builtins(boxes):
    @boxes.register()
    class Flat: ...

    assert boxes.names() == ("RoundBox", "flat", "square")
    assert boxes["flat"].builder is Flat
    assert imported() == set()


class Tables(StrictOptions):
    given: dict[str, int]
    missing: dict[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    "options",
    [
        Tables(given={"a": 1}),
        Tables.parse({"given": {"a": 1}}),
        Tables(given={}).model_copy(update={"given": {"a": 1}}),
        Tables(given={"a": 1}).model_copy(deep=True),
    ],
)
def test_tables_of_options_cannot_be_changed(options):
    for table in (options.given, options.missing):
        with pytest.raises(TypeError, match="frozen"):
            table["b"] = 2
    assert options == Tables(given={"a": 1})
    assert options.model_dump() == {"given": {"a": 1}, "missing": {}}
