"""Fixtures that restore process state after a command, and parse arguments like the program."""

import argparse
import signal
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(autouse=True)
def _signals():
    """Restore the handlers of stop signals after a run."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def replaced(monkeypatch) -> Callable[[str], list]:
    """Return a function that replaces the work of a command, by its dotted name, and returns the calls it gets."""

    def replace(work: str) -> list:
        calls: list = []
        monkeypatch.setattr(work, lambda loaded, book, **given: calls.append((loaded.options, given)) or "finished")
        return calls

    return replace


@pytest.fixture
def parsed() -> Callable[..., argparse.Namespace]:
    """Return a function that parses the arguments of one command."""

    def parse(command: ModuleType, *arguments: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        command.add(parser.add_subparsers(required=True))
        return parser.parse_args(arguments)

    return parse
