"""Names on the console are shown as they are, and never command the terminal."""

import io

import pytest
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from traiNNer.utils.console import PlainConsole
from traiNNer.utils.printable import printable

NAME = "a\x1b[31m\x1b]0;owned\x07\u202e:x:[red].png"
SHOWN = r"a\x1b[31m\x1b]0;owned\x07\u202e:x:[red].png"


def shown(renderable, **options):
    file = io.StringIO()
    console = PlainConsole(file=file, width=200, **options)
    console.print(renderable)
    return file.getvalue()


def table(cell):
    made = Table.grid()
    made.add_column()
    made.add_row(cell)
    return made


@pytest.mark.parametrize("renderable", [NAME, table(NAME)])
def test_name_is_shown_with_its_commands_as_escapes(renderable):
    assert shown(renderable).strip() == SHOWN


@pytest.mark.parametrize("renderable", [Text(NAME), table(Text(NAME, "red"))])
def test_text_that_was_made_elsewhere_commands_nothing_either(renderable):
    said = shown(renderable)
    assert said.startswith(r"a\x1b[31m\x1b]0;owned")
    assert said.rstrip("\n").isprintable()


def test_colors_of_our_own_reach_the_terminal():
    said = shown(Text(printable(NAME), "bold red"), force_terminal=True, color_system="standard")
    assert said == f"\x1b[1;31m{SHOWN}\x1b[0m\n"


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    said = shown(Text("warning", "yellow"), force_terminal=True, color_system="standard")
    assert said == "warning\n"


def test_progress_shows_names_as_they_are():
    file = io.StringIO()
    console = PlainConsole(file=file, width=200, force_terminal=True, color_system=None)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as progress:
        progress.add_task(printable(NAME))
        progress.add_task(NAME)
    assert SHOWN in file.getvalue()
    assert "\x1b[31m" not in file.getvalue()
