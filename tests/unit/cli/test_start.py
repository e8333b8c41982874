"""What the command line loads: `--help` and an option file with mistakes need not wait for torch."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
LOADED = """
import sys
from runpy import run_path
sys.argv = sys.argv[1:]
try:
    run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("\\nended", end.code, *sorted({name.split(".")[0] for name in sys.modules}))
"""


def start(*arguments: object, folder: Path = REPOSITORY) -> tuple[int, set[str], str]:
    """Run a script; return its exit code, the packages it loaded, and what it printed."""
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=folder)
    said, _, end = done.stdout.rpartition("\nended ")
    code, *loaded = end.split()
    return int(code), set(loaded), said + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("train.py", "--help"),
        ("test.py", "--help"),
        ("traiNNer/__main__.py", "--help"),
        ("traiNNer/__main__.py", "train", "--help"),
        ("traiNNer/__main__.py", "init", "--help"),
    ],
    ids=" ".join,
)
def test_help_loads_no_library(arguments):
    code, loaded, said = start(REPOSITORY / arguments[0], *arguments[1:])
    assert code == 0
    assert "usage:" in said
    assert not loaded & {"torch", "numpy", "cv2", "pydantic", "yaml", "rich"}
