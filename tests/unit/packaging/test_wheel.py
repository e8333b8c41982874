"""The package as it is installed: everything is in it, and it trains where there is no checkout."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from runkit import REPOSITORY

PACKAGE = REPOSITORY / "traiNNer"
CALL = "import sys, trainner_sr; sys.exit(trainner_sr.main())"


def ours() -> set[str]:
    """Return what the package is made of, as it has to be installed."""
    inside = {path.relative_to(REPOSITORY).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    files = (REPOSITORY / "options").rglob("*")
    beside = {f"traiNNer/{path.relative_to(REPOSITORY).as_posix()}" for path in files if path.is_file()}
    return {name for name in inside | beside if "__pycache__" not in name}


def test_every_folder_is_a_package_or_listed_as_data():
    setup = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed = {path for pattern in setup["package-data"]["traiNNer"] for path in PACKAGE.glob(pattern)}
    code = {path for path in PACKAGE.rglob("*.py") if (path.parent / "__init__.py").is_file()}
    here = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert here - code - listed == set()


@pytest.mark.nightly
def test_wheel_is_complete_and_trains_outside_of_a_checkout(tmp_path):
    source, away, site = tmp_path / "source", tmp_path / "away", tmp_path / "site"
    source.mkdir()
    for name in ("traiNNer", "options"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in REPOSITORY.glob("*.*"):
        if path.is_file():
            shutil.copy(path, source)
    shutil.copy(REPOSITORY / "LICENSE", source)
    build = [sys.executable, "-m", "build", "--no-isolation", "-o", str(tmp_path / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    with zipfile.ZipFile(next((tmp_path / "dist").glob("trainner_sr-*.whl"))) as wheel:
        names = set(wheel.namelist())
        wheel.extractall(site)
    assert ours() | {"trainner_sr.py"} == {name for name in names if ".dist-info/" not in name}
    assert {name.rpartition("/")[2] for name in names} >= {"LICENSE", "NOTICE.md", "LICENSES.md", "entry_points.txt"}

    away.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def trainner(*arguments):
        command = [sys.executable, "-c", CALL, *arguments]
        return subprocess.run(command, cwd=away, env=environment, check=True, capture_output=True, text=True).stdout

    assert "Next: trainner train -opt options/2x_compact.yml" in trainner("demo")
    short = ("train.total_iter=4", "val.val_freq=4", "logger.save_checkpoint_freq=4", "network_g.num_conv=1")
    said = trainner("train", "-opt", "options/2x_compact.yml", *(word for key in short for word in ("--set", key)))
    assert "finished: 4/4" in said
    assert (away / "experiments/2x_compact/models/net_g_ema_4.safetensors").is_file()
