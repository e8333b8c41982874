"""Statically read declarations equal what importing would register."""

import subprocess
import sys

import pytest

from traiNNer.utils.declarations import declared

SOURCE = """
@BOXES.register
class Plain: ...

@BOXES.register(name="Given", tall=True)
class Other: ...

@BOXES.register()
@dataclass(frozen=True)
class Decorated: ...

@other.register()
class NotOurs: ...

def make(name): ...

variant = make("variant", 3)
different = make("another")
"""
# In a separate process, because other tests import and register components.
AGREE = """
from traiNNer import registry
found = {name: one for name, one in vars(registry).items() if isinstance(one, registry.Registry)}
assert len(found) >= 8
for name, one in found.items():
    before, offered = one.names(), {title for title, _ in one._offers().values()}
    registered = {component.name for component in one}
    assert offered == registered, (name, offered ^ registered)
    assert one.names() == before, name
    for component in one:
        module = one._module(component.name)
        assert component.builder.__module__ == module, (component.name, module)
"""


def test_training_and_release_forms_are_found_in_every_folder(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "some.py").write_text(SOURCE)
    (tmp_path / "below" / "__init__.py").write_text("@BOXES.register()\nclass Inner: ...\n")
    (tmp_path / "without.py").write_text('name = make("name")\n')
    expected = dict.fromkeys(("plain", "Given", "decorated", "variant"), "package.some")
    assert declared("package", [str(tmp_path)], "BOXES.register") == expected | {"inner": "package.below"}


def test_registered_plain_function(tmp_path):
    (tmp_path / "nets.py").write_text("@arch(scales=(2,))\nclass Net: ...\n")
    assert declared("package", [str(tmp_path)], "arch") == {"net": "package.nets"}


def test_static_traits_equal_registered_traits():
    done = subprocess.run([sys.executable, "-c", AGREE], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["adamw", "sgd", "lbfgs"])
def test_torch_optimizers_are_known_without_torch(name):
    from traiNNer.optim.names import torch_optimizers

    assert name in torch_optimizers()
    assert "optimizer" not in torch_optimizers()
