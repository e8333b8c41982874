"""The documentation: every page is reached, every command line is one that our programs take, and it builds alone."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from traiNNer.cli.main import build_parser, main
from traiNNer.cli.option_file import add_option_file
from traiNNer.cli.parser import Parser
from traiNNer.cli.train import add_arguments

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|bash|powershell)\n(.*?)^```", re.S | re.M)
PLACEHOLDER = re.compile(r"…|<\w+>")
SITE = ROOT / "mkdocs.yml"


class Tags(yaml.SafeLoader):
    """Reads over tags that build Python objects."""


Tags.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def commands(page: Path) -> list[list[str]]:
    """Return the command lines of ours in the blocks of a page, each in words."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" && | \| | > ", line):
                if re.match(r"(trainner|python (train|test)\.py|torchrun .*train\.py) ", part.strip()):
                    found.append(shlex.split(part.strip(), comments=True))
    return [words for words in found if not PLACEHOLDER.search(" ".join(words))]


def is_taken(words: list[str]) -> bool:
    """Return whether our programs take a command line."""
    try:
        if words[0] == "trainner":
            build_parser().parse_args(words[1:])
        else:
            script = next(word for word in words if word.endswith(".py"))
            parser = Parser(script)
            (add_arguments if script == "train.py" else add_option_file)(parser)
            parser.parse_args(words[words.index(script) + 1 :])
    except SystemExit as ended:
        return ended.code == 0  # --help and --version
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_command_lines_of_a_page_are_taken(page):
    assert [shlex.join(words) for words in commands(page) if not is_taken(words)] == []


def test_command_that_does_not_exist_is_found(tmp_path):
    (tmp_path / "page.md").write_text("```sh\npip install x && trainner trian -opt my.yml  # oh\n```\n")
    (words,) = commands(tmp_path / "page.md")
    assert not is_taken(words)


def test_commands_that_write_option_files_and_schemas_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_loss.py").write_text("")
    done = 0
    for words in [words for page in PAGES for words in commands(page)]:
        if words[:2] in (["trainner", "options"], ["trainner", "demo"], ["trainner", "completion"]):
            (tmp_path / "my.yml").unlink(missing_ok=True)
            assert main(words[1:]) == 0, capsys.readouterr().err
            done += 1
    assert done >= 5


def nav(entries: list) -> list[str]:
    """Return the files of a navigation, in its order."""
    found = []
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        found += nav(value) if isinstance(value, list) else [value]
    return found


def test_every_page_has_its_place_in_the_navigation():
    site = yaml.load(SITE.read_text(encoding="utf-8"), Tags)
    files = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    listed = nav(site["nav"])
    assert len(listed) == len(set(listed))
    assert set(listed) == files
    assert site["theme"]["font"] is False


@pytest.mark.nightly
@pytest.mark.skipif(find_spec("material") is None, reason="mkdocs-material is not installed")
def test_site_is_built_and_asks_for_nothing_from_elsewhere(tmp_path):
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(SITE), "-d", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    loaded = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(https?:)?//""")
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    assert [page.name for page in pages if loaded.search(page.read_text(encoding="utf-8"))] == []
