"""The help of every command fits a screen and ends with an example that the command line takes."""

import re
import shlex

import pytest

from traiNNer.cli.main import COMMANDS, build_parser
from traiNNer.cli.parser import Parser, commands_of, options_of

SCREEN = 40  # lines


@pytest.mark.parametrize("name", [None, *commands_of(build_parser())])
def test_help_fits_a_screen_and_has_an_example(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = commands_of(build_parser())[name][1] if name else build_parser()
    text = parser.format_help()
    assert len(text.splitlines()) <= SCREEN
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(rf"^example: trainner {name or 'init'}\b", text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__)
def test_example_is_a_command_line(command):
    for line in command.EXAMPLE.partition(" > ")[0].split(" && "):
        program, *words = shlex.split(line)
        assert program == "trainner"
        assert build_parser().parse_args(words).run


def test_lines_of_a_description_stay_apart():
    parser = Parser("x", epilog="first line\n" + "second " * 30)
    assert "\nfirst line\nsecond second" in parser.format_help()


def test_options_and_commands_are_told_with_what_they_are_for():
    commands = commands_of(build_parser())
    assert commands["demo"][0] == "prepare photos and option files to try things with"
    assert options_of(commands["train"][1])["--check"].startswith("check options, data")
