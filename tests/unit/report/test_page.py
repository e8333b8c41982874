import json
import re
from html.parser import HTMLParser

import pytest
from reportkit import event, write

from traiNNer.cli import main
from traiNNer.errors import ConfigError
from traiNNer.report import page as module
from traiNNer.report.page import library, page, write_report
from traiNNer.report.record import read_record
from traiNNer.report.style import POLICY

pytest.importorskip("plotly", reason="the report draws with plotly")
EVIL = "</script><img src=https://example.com/x>"


class Links(HTMLParser):
    """Collects what a browser would load."""

    def __init__(self):
        super().__init__()
        self.found, self.elements = [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action", "poster")]


@pytest.fixture
def folder(tmp_path):
    made = {"automation": EVIL, "knob": None, "action": "stop", "reason": EVIL, "old": None, "new": None}
    write(
        tmp_path / "run",
        event("run_started", 0, total_iter=40, environment={"torch": EVIL, "device": "cpu"}, command=EVIL),
        event("train", 40, **{"loss/l1": 0.1, "lr": 1e-3}),
        event("image_scores", 40, better={}, sets={EVIL: {EVIL: {"psnr": 30.0}}}),
        event("suspect_images", 40, examined=3, images=[{"kind": "shifted", "severity": 1.5, "gt": EVIL, "lq": EVIL}]),
    )
    (tmp_path / "run/decisions.jsonl").write_text(json.dumps({"event": "decision", "iter": 7, **made}) + "\n")
    (tmp_path / "run/log").mkdir()
    (tmp_path / "run/log/train_1.log").write_text(f"2026-11-29 13:00:00 Warning: {EVIL}\n2026-11-29 13:00:01 fine\n")
    return tmp_path / "run"


def test_page_loads_nothing_and_names_cannot_break_it(folder):
    text = page(read_record(folder)).replace(library(), "")
    seen = Links()
    seen.feed(text)
    assert [link for link in seen.found if link and not link.startswith("data:")] == []
    assert seen.elements.count("script") == 3
    assert "default-src 'none'" in POLICY
    assert f'content="{POLICY}"' in text
    assert len(re.findall(r"url\(|@import|fetch\(", text)) == 0


def test_page_shows_what_the_record_has(folder):
    text = page(read_record(folder))
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text)[1])
    assert [trace["x"] for trace in figures[0]["data"]] == [[40], [7]]
    for shown in ("train.total_iter", "file line 3", "shifted", "Warnings (1)", "from iteration 0"):
        assert shown in text


def test_command_writes_the_page_and_names_it(folder, capsys):
    assert main(["report", "run", "--root", str(folder.parent)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert 1e6 < (folder / "report.html").stat().st_size < 15e6


def test_missing_run_ends_with_2(folder, capsys):
    assert main(["report", "rum", "--root", str(folder.parent)]) == 2
    assert "nearest: run" in capsys.readouterr().err


def test_missing_library_is_told_with_the_command_that_installs_it(folder, monkeypatch):
    library.cache_clear()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install plotly"):
        write_report(folder)
    library.cache_clear()
