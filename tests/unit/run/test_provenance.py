import shutil
import subprocess
import sys

import pytest

from traiNNer.run.provenance import commit_of, provenance


def test_versions_machine_and_command_are_told(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "-opt", "my file.yml"])
    found = provenance({"torch": "2.9", "device": "cpu"})
    assert found["command"] == "train.py -opt 'my file.yml'"
    assert found["environment"].items() >= {"torch": "2.9", "device": "cpu"}.items()
    assert found["environment"]["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_of_a_checkout_tells_changes(tmp_path):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", "-C", str(tmp_path), *who, *words], capture_output=True, text=True, check=True)

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").stdout.strip()
    assert commit_of(tmp_path) == commit[:12]
    (tmp_path / "file").write_text("2")
    assert commit_of(tmp_path) == f"{commit[:12]} (changed)"
    inside = tmp_path / "site-packages"
    inside.mkdir()
    assert commit_of(inside) is None
