"""`trainner completion`: a script with which a shell completes commands and options."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from traiNNer.cli.parser import choices_of, options_of

EXAMPLE = "trainner completion bash > ~/.local/share/bash-completion/completions/trainner"

BASH = """\
_trainner() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    if [ "$COMP_CWORD" = 1 ]; then words="{commands}"; fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [ "$COMP_CWORD" != 1 ] && [ "${{word#-}}" = "$word" ]; then COMPREPLY=($(compgen -f -- "$word")); fi
}}
complete -o filenames -F _trainner trainner
"""
POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName trainner -ScriptBlock {{
    param($word, $line, $cursor)
    $words = @{{
{tables}
    }}
    $given = @($line.CommandElements | ForEach-Object {{ $_.ToString() }})
    $key = if ($given.Count -gt 2 -or ($given.Count -eq 2 -and $word -eq '')) {{ $given[1] }} else {{ '' }}
    $words[$key] | Where-Object {{ $_ -like "$word*" }} | ForEach-Object {{
        [System.Management.Automation.CompletionResult]::new($_)
    }}
}}
"""
Commands = dict[str, tuple[str, argparse.ArgumentParser]]


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "completion",
        help="print a script for completion in your shell",
        description="Prints a script for your shell. For PowerShell: trainner completion powershell >> $PROFILE",
    )
    parser.add_argument("shell", choices=SHELLS, help="your shell")
    parser.set_defaults(run=run, commands=commands)


def run(args: argparse.Namespace) -> None:
    """Print the script."""
    from traiNNer.utils.printable import printable

    sys.stdout.write(printable(SHELLS[args.shell](choices_of(args.commands))))


def _bash(commands: Commands) -> str:
    cases = (f'        {name}) words="{" ".join(options_of(own))}";;' for name, (_, own) in commands.items())
    return BASH.format(cases="\n".join(cases), commands=" ".join(commands))


def _zsh(commands: Commands) -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(commands)}"


def _fish(commands: Commands) -> str:
    lines = []
    for name, (about, own) in commands.items():
        lines.append(f"complete -c trainner -n __fish_use_subcommand -f -a {name} -d {_quoted(about)}")
        only = f"complete -c trainner -n '__fish_seen_subcommand_from {name}'"
        lines += [f"{only} -l {option[2:]} -d {_quoted(text)}" for option, text in options_of(own).items()]
    return "\n".join(lines) + "\n"


def _powershell(commands: Commands) -> str:
    words = {"": list(commands), **{name: list(options_of(own)) for name, (_, own) in commands.items()}}
    lists = {key: ", ".join(f"'{word}'" for word in each) for key, each in words.items()}
    return POWERSHELL.format(tables="\n".join(f"        '{key}' = @({each})" for key, each in lists.items()))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: dict[str, Callable[[Commands], str]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
    "powershell": _powershell,
}
