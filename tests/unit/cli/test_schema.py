import json
import subprocess
import sys

from runkit import REPOSITORY

from traiNNer.cli.main import main

PLUGIN = '''
from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register()
class LossOfThePlugin(nn.Module):
    """A loss.

    Args:
        sharpness: How sharp.
    """

    def __init__(self, sharpness: float = 2.0) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().mean()
'''


def test_schema_knows_the_components_of_plugins(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    # In a separate process: a plugin registers for good.
    call = [sys.executable, "-m", "traiNNer", "schema", "--plugins", "mine.py", "-o", "my.schema.json"]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": ""}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "written: my.schema.json\n"
    losses = json.loads((tmp_path / "my.schema.json").read_text())["$defs"]["LossChoice"]["anyOf"]
    (mine,) = [loss for loss in losses if loss["title"] == "lossoftheplugin"]
    assert mine["properties"]["sharpness"]["description"] == "How sharp."
    assert len(losses) > 10


def test_schema_without_plugins_is_the_one_that_ships(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["schema", "--test"]) == 0
    written = json.loads((tmp_path / "options.schema.json").read_text())
    shipped = json.loads((REPOSITORY / "options/test/options.schema.json").read_text())
    assert written["properties"] == shipped["properties"]


def test_plugin_that_cannot_be_imported_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["schema", "--plugins", "none.py"]) == 2
    assert "none.py does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
