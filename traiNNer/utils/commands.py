"""Command lines that a message proposes."""

import shlex
from pathlib import Path


def train_command(options: Path | str) -> str:
    """Return the command that trains with an option file: train.py where it is at hand, else the installed one."""
    program = "python train.py" if Path("train.py").is_file() else "trainner train"
    return f"{program} -opt {quoted(options)}"


def quoted(argument: Path | str) -> str:
    """Return an argument as POSIX shells and PowerShell take it, on one line."""
    text = str(argument)
    return shlex.quote(" ".join(text.split()) if not text.isprintable() else text)
