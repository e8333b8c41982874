"""An object is complete after construction: only its own methods change it later."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "traiNNer"
ROOMS = ("engine", "automations", "data", "run", "measuring")
# Libraries without another way (torch, rich, numpy), a shared switch, and tables filled by functions of one file.
SET_FROM_OUTSIDE = {
    "engine/runtime/optimizer.py": {"optimizer.grad_scale", "optimizer.found_inf"},
    "engine/runtime/start.py": {"torch.backends.cudnn.allow_tf32", "torch.backends.cudnn.benchmark"},
    "engine/runtime/runtime.py": {"torch.backends.cudnn.benchmark"},
    "engine/evaluation/scorer.py": {"module.training"},
    "engine/log/logbook.py": {"self.console.quiet"},
    "engine/log/tensorboard.py": {"threading.excepthook"},
    "measuring/measure.py": {"timer.daemon"},
    "engine/step.py": {"self.measuring.is_on"},
    "run/assemble.py": {"measuring.is_on"},
    "engine/training.py": {"self.progress.iteration"},
    "data/files/scan.py": {"scan.pairs"},
    "data/datasets/image_files.py": {"rng.bit_generator.state"},
}


def files() -> list[Path]:
    return [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]


def foreign_targets(tree: ast.AST) -> set[str]:
    """Return the attributes that are assigned to anything but `self`."""
    stored = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
    return {ast.unparse(n) for n in stored if ast.unparse(n.value) != "self"}


def test_no_attribute_is_set_from_outside():
    found = {
        path.relative_to(PACKAGE).as_posix(): foreign_targets(ast.parse(path.read_text(encoding="utf-8")))
        for path in files()
    }
    assert {file: targets for file, targets in found.items() if targets} == SET_FROM_OUTSIDE


@pytest.mark.parametrize("statement", ["slot.knobs = x", "self.slot.count += 1", "a, slot.b = 1, 2", "slot.c: int = 1"])
def test_every_kind_of_assignment_is_detected(statement):
    assert len(foreign_targets(ast.parse(statement))) == 1
    assert not foreign_targets(ast.parse("self.slot = slot"))
