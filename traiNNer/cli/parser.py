"""How the command line reads and explains itself."""

import argparse
import textwrap
from types import ModuleType
from typing import Any


class LineFormatter(argparse.HelpFormatter):
    """Help that keeps the lines of a description, so that an example stands on its own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (
            textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent) for line in text.split("\n")
        )
        return "\n".join(lines)


class ListFormatter(LineFormatter):
    """The same for a list of commands: a line each."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 18, **options})


class Parser(argparse.ArgumentParser):
    """A parser of ours; those of its commands are made by the same class."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"formatter_class": LineFormatter, **options})


def add_command(command: ModuleType, commands: Any) -> None:
    """Add a command, with its example at the end of its help."""
    command.add(commands)
    parser = list(commands.choices.values())[-1]
    if example := getattr(command, "EXAMPLE", ""):
        parser.epilog = "\n".join(filter(None, [f"example: {example}", parser.epilog]))


def options_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the long options of a parser and what they are for."""
    found = {}
    for action in parser._actions:  # argparse offers no other way to see them
        for name in action.option_strings:
            if name.startswith("--"):
                found[name] = action.help or ""
    return found


def commands_of(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Return the commands of a parser: what each is for, and its own parser."""
    return choices_of(next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)))


def choices_of(action: Any) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Return the same of what `add_subparsers` returned."""
    helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {name: (helps.get(name, ""), own) for name, own in action.choices.items()}
