"""A template in the style of traiNNer-redux trains and resumes, and one that cannot is counted."""

import sys

import pytest

from benchmarks import redux_runs
from tests.unit.benchmarks.test_redux_templates import TEMPLATE


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    def run(text: str, *arguments: str) -> tuple[int, str]:
        family = tmp_path / "Compact"
        family.mkdir()
        (family / "4x_Compact_fidelity.yml").write_text(text)
        monkeypatch.setattr(sys, "argv", ["redux_runs.py", str(tmp_path), *arguments])
        with pytest.raises(SystemExit) as ended:
            redux_runs.main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return run


def test_template_trains_and_resumes_exactly(call):
    code, said = call(TEMPLATE)
    assert said == "trains, resumes exactly  4x_Compact_fidelity\n1 of 1 templates train\n"
    assert code == 0


def test_template_that_fails_is_counted(call):
    code, said = call(TEMPLATE.replace("lr: !!float 1e-4", "lr: !!float 1e+12"), "--kinds", "fidelity")
    assert said.startswith("FAILS  4x_Compact_fidelity  exit code ")
    assert said.endswith("0 of 1 templates train\n")
    assert code == 1
