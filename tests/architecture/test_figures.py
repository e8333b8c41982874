"""Every measured figure of the documentation stands in a section that names the script or command that measures it.

Pages of decisions are dated records of why something was chosen, and the reference quotes options.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "options.md")]
MEASURED = re.compile(r"\d (?:dB|ms|it/s|iterations a second|images/s|GFLOP/s)\b")
COMMAND = re.compile(r"\bbenchmarks[/.]\w+|python (?:train|test)\.py|`?\btrainner \w+|\.ci/run")
BLOCK = re.compile(r"^```.*?^```", re.S | re.M)


def unexplained(text: str) -> list[str]:
    """Return the titles of sections with measured figures and no command; a part of a section has that of the whole."""
    parts = re.split(r"^## ", text, flags=re.M)
    return [part.splitlines()[0] for part in parts if MEASURED.search(BLOCK.sub("", part)) and not COMMAND.search(part)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_measured_figures_name_what_measures_them(page):
    assert unexplained(page.read_text(encoding="utf-8")) == []


def test_figure_without_a_command_is_found():
    assert unexplained("# A\n\n## B\n\nIt takes 3 ms.\n\n## C\n\n`benchmarks/start.py` says 3 ms.\n") == ["B"]
    assert unexplained("## D\n\n```\n31 dB\n```\n\nat most 5 s\n") == []
