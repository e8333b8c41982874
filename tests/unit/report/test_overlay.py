import json
import re

import pytest
from reportkit import event, write

from traiNNer.cli import main
from traiNNer.report.compare import grouped, sheets
from traiNNer.report.overlay import comparison_page
from traiNNer.report.record import read_record

pytest.importorskip("plotly", reason="the report draws with plotly")


def run(root, name, seed, rate):
    values = [event("train", at, **{"loss/l1": rate * at, "lr": rate, "it_per_s": 3.0}) for at in (1, 2)]
    values.append(event("validation", 2, **{"val/set/psnr": 31.0, "val/set/psnr_bicubic": 30.0}))
    options = f"name: {name}  # file line 1\nmanual_seed: {seed}  # file line 2\nlr: {rate}  # file line 3\n"
    return write(root / name, *values, resolved=options)


def test_curves_lie_over_each_other_and_seeds_share_color_and_name(tmp_path):
    folders = [run(tmp_path, *about) for about in (("a<b", 0, 0.1), ("a2", 1, 0.1), ("c", 0, 0.2))]
    groups = grouped([read_record(folder) for folder in folders])
    text = comparison_page(groups, sheets(groups))
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text)[1])
    assert re.findall("<h3>(.*?)</h3>", text) == ["set/psnr", "Loss l1", "Learning rate", "Iterations per second"]
    score, loss = figures[0]["data"], figures[1]["data"]
    assert [(one["name"], one["y"]) for one in loss] == [
        ("a&lt;b (2 seeds)", [0.1, 0.2]),
        ("a&lt;b (2 seeds)", [0.1, 0.2]),
        ("c", [0.2, 0.4]),
    ]
    assert [one["showlegend"] for one in loss] == [True, False, True]
    assert loss[0]["line"] == loss[1]["line"] != loss[2]["line"]
    assert score[-1]["name"] == "bicubic"
    assert "<h2>Options that differ</h2>" in text


def test_command_writes_the_page(tmp_path, capsys):
    run(tmp_path, "a", 0, 0.1)
    run(tmp_path, "b", 0, 0.2)
    file = tmp_path / "both.html"
    assert main(["compare", "a", "b", "--root", str(tmp_path), "--html", str(file)]) == 0
    assert "Comparison of a, b" in file.read_text()
    assert (
        main(["compare", "a", "b", "--root", str(tmp_path), "--html", str(tmp_path / "a" / "metrics.jsonl" / "x")]) == 7
    )
    assert "Cannot write" in capsys.readouterr().err
