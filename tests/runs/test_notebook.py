"""The notebook of the documentation runs from its first cell to its last."""

import ast
import json

import numpy as np
from runkit import REPOSITORY

NOTEBOOK = REPOSITORY / "docs/notebook.ipynb"


def run(source: str, scope: dict) -> object:
    """Run a cell as a notebook does. Returns the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), scope)
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), scope) if last else None


def test_cells_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    scope, shown = {}, []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            shown.append(run("".join(cell["source"]), scope))
    assert shown[2][0] == "finished: 40/40"
    assert np.asarray(shown[3]).shape == (2 * scope["small"].shape[0], 2 * scope["small"].shape[1], 3)
    assert 25 < shown[4]["psnr"] < 45
    said = capsys.readouterr().out
    assert "did you mean 'scale'?" in said
    assert "did you mean 'total_iter'?" in said
