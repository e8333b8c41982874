"""The installed command, in folders that look like site-packages with two packages of one name."""

import os
import subprocess
import sys

import pytest
from runkit import REPOSITORY

import trainner_sr

SAY = "import trainner_sr; raise SystemExit(trainner_sr.main())"


def install(site, name, files):
    """Write what pip leaves of a distribution: files, and a record of them."""
    info = site / f"{name.replace('-', '_')}-0.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.5\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in files:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text("")


@pytest.fixture
def version(tmp_path):
    """Return a function that asks the command for its version, with a folder in front of the path."""

    def run():
        path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
        code = f"import sys; sys.argv = ['trainner', '--version']; {SAY}"
        environment = os.environ | {"PYTHONPATH": path}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_command_runs_where_nothing_is_in_the_way(version):
    done = version()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("traiNNer ")


def test_package_that_is_found_first_is_named(version, tmp_path):
    install(tmp_path, "traiNNer-redux", ["traiNNer/__init__.py", "traiNNer/utils/__init__.py"])
    done = version()
    assert done.returncode == 2
    assert done.stderr.startswith("traiNNer-redux 0.5 is installed in this environment, and both are imported as traiN")
    assert "pip uninstall traiNNer-redux\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_is_found_later_does_no_harm(version, tmp_path):
    install(tmp_path, "trainner", ["somewhere/trainner.py"])
    assert version().returncode == 0


def test_mixed_files_are_seen_in_the_record(tmp_path, monkeypatch):
    install(tmp_path, "traiNNer-redux", ["traiNNer/__init__.py", "traiNNer/cli/main.py"])
    monkeypatch.syspath_prepend(tmp_path)
    spec = type("Spec", (), {"origin": str(tmp_path / "traiNNer/__init__.py")})
    monkeypatch.setattr(trainner_sr, "find_spec", lambda _: spec)
    assert "pip install --force-reinstall --no-deps trainner-sr" in (trainner_sr.conflict() or "")
    (tmp_path / "traiNNer_redux-0.5.dist-info/RECORD").write_text("traiNNer_redux.pth,,\n")  # a checkout elsewhere
    assert trainner_sr.conflict() is None
