import pytest
from reportkit import scored

from traiNNer.cli import main


def test_command_prints_markdown_or_latex(tmp_path, capsys):
    scored(tmp_path, "a")
    scored(tmp_path, "b_c", rate=0.002, scores=(31.0, 33.0))
    assert main(["compare", "a", "b_c", "--root", str(tmp_path)]) == 0
    assert "| train.optim_g.lr | 0.001 | 0.002 |" in capsys.readouterr().out
    assert main(["compare", "a", "b_c", "--root", str(tmp_path), "--latex"]) == 0
    assert r"train.optim\_g.lr & 0.001 & 0.002 \\" in capsys.readouterr().out


@pytest.mark.parametrize(("names", "said"), [(["a"], "two runs"), (["a", "c"], "no run"), (["a", "b"], "no run")])
def test_wrong_names_end_with_2(tmp_path, capsys, names, said):
    scored(tmp_path, "a")
    assert main(["compare", *names, "--root", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
