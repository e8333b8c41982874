import shutil
import subprocess

import pytest

from traiNNer.cli.completion import SHELLS
from traiNNer.cli.main import main


def script(shell, capsys) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_script_knows_every_option_of_a_command(shell, capsys):
    said = script(shell, capsys)
    for option in ("auto_resume", "check", "overwrite"):
        assert option in said
    assert "explain-run" in said


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [("tr", "train"), ("train --auto", "--auto_resume"), ("init --pre", "--preset"), ("train -opt my", "my.yml")],
)
def test_bash_completes(words, expected, capsys, tmp_path):
    (tmp_path / "my.yml").write_text("")
    call = f"{script('bash', capsys)}\nCOMP_WORDS=(trainner {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
    call += '_trainner; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == [expected]
