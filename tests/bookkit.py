"""A logbook that records instead of writing, for tests of code that logs."""

import json
from collections.abc import Sequence
from typing import Any


class Book:
    """Collects what a logbook would write; values that are not plain JSON raise, as in the real one."""

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.decisions: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def warn_all(self, texts: Sequence[str]) -> None:
        self.warnings += texts

    def event(self, kind: str, iteration: int, values: dict[str, Any]) -> None:
        self.events.append({"event": kind, "iter": iteration, **json.loads(json.dumps(values))})

    def decision(self, iteration: int, about: dict[str, Any]) -> None:
        self.decisions.append({"iter": iteration, **json.loads(json.dumps(about))})
