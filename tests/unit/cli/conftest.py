"""What a command leaves behind in this process is undone, and its arguments are parsed as the program does."""

import argparse
import signal
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(autouse=True)
def _signals():
    """Undo what the end of a run does to the terminate signal of this process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def parsed() -> Callable[..., argparse.Namespace]:
    """Return a function that parses the arguments of one command."""

    def parse(command: ModuleType, *arguments: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        command.add(parser.add_subparsers(required=True))
        return parser.parse_args(arguments)

    return parse
