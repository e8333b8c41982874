"""The command line: one file a command, with `add` for its arguments and `run`, inside which all heavy imports are."""

from traiNNer.cli.main import main

__all__ = ["main"]
