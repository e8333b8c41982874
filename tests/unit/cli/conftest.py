"""Fixtures that restore process state after a command, and parse arguments like the program."""

import argparse
import signal
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(autouse=True)
def _signals():
    """Restore the SIGTERM handler after a run."""
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
