"""Curves for services that follow experiments: Weights & Biases, MLflow, Trackio. Training never depends on them."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from traiNNer.config.options import LoggerSection
from traiNNer.errors import ConfigError
from traiNNer.traits import Requirement


class Tracker(Protocol):
    """A place that numbers go to."""

    def log(self, values: Mapping[str, float], iteration: int) -> None:
        """Take the numbers of an iteration; several calls may name one iteration."""
        ...

    def finish(self, code: int) -> None:
        """End the run there; `code` is its exit code."""
        ...


class Wandb:
    """A run of Weights & Biases; its files lie in the run's folder."""

    def __init__(self, section: LoggerSection, name: str, root: Path, options: Mapping[str, Any]) -> None:
        wandb: Any = import_module("wandb")
        about = {"project": section.wandb.project, "id": section.wandb.resume_id, "resume": "allow"}
        self._run = wandb.init(**about, name=name, dir=str(root), config=dict(options))

    def log(self, values: Mapping[str, float], iteration: int) -> None:
        """Take the numbers of an iteration."""
        self._run.log(dict(values), step=iteration)

    def finish(self, code: int) -> None:
        """End the run there."""
        self._run.finish(exit_code=code)


class Mlflow:
    """A run of MLflow, in the experiment that is named like the project."""

    def __init__(self, section: LoggerSection, name: str, root: Path, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        self._mlflow: Any = import_module("mlflow")
        self._mlflow.set_experiment(section.mlflow.project)
        self._mlflow.start_run(run_name=name)
        self._mlflow.log_params({self._name(key): str(value)[:500] for key, value in options.items()})

    def log(self, values: Mapping[str, float], iteration: int) -> None:
        """Take the numbers of an iteration."""
        self._mlflow.log_metrics({self._name(key): value for key, value in values.items()}, step=iteration)

    def finish(self, code: int) -> None:
        """End the run there."""
        self._mlflow.end_run("FAILED" if code else "FINISHED")

    @staticmethod
    def _name(key: str) -> str:
        return re.sub(r"[^\w\-. :/]", "_", key)


class Trackio:
    """A run of Trackio, which keeps its numbers on this machine."""

    def __init__(self, section: LoggerSection, name: str, root: Path, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        trackio: Any = import_module("trackio")
        self._run = trackio.init(project=section.trackio.project, name=name, config=dict(options), resume="allow")

    def log(self, values: Mapping[str, float], iteration: int) -> None:
        """Take the numbers of an iteration."""
        self._run.log(dict(values), step=iteration)

    def finish(self, code: int) -> None:  # noqa: ARG002 - Trackio knows no exit codes
        """End the run there."""
        self._run.finish()


KINDS: Mapping[str, Callable[[LoggerSection, str, Path, Mapping[str, Any]], Tracker]] = {
    "wandb": Wandb,
    "mlflow": Mlflow,
    "trackio": Trackio,
}


def wanted(section: LoggerSection) -> list[str]:
    """Return the trackers that have a project."""
    return [name for name in KINDS if getattr(section, name).project]


def check_trackers(section: LoggerSection) -> None:
    """Raise `ConfigError` with the command that installs it where a wanted package is missing."""
    for name in wanted(section):
        package = Requirement(name, f"pip install 'trainner-sr[{name}]'")
        if not package.is_met:
            raise ConfigError(f"logger.{name} {package.reason}, or set its project to null.")


class Trackers:
    """Every tracker that is wanted; one that fails is off from then on, with one line.

    Args:
        section: which ones, and their projects.
        name: of the run.
        root: the run's folder.
        options: of the run, by key.
        warn: gets the line.
    """

    def __init__(
        self, section: LoggerSection, name: str, root: Path, options: Mapping[str, Any], warn: Callable[[str], None]
    ) -> None:
        self._warn = warn
        self._open: dict[str, Tracker] = {}
        for kind in wanted(section):
            self._try(kind, lambda kind=kind: self._open.update({kind: KINDS[kind](section, name, root, options)}))

    def log(self, values: Mapping[str, float], iteration: int) -> None:
        """Tell each the numbers of an iteration."""
        for kind, tracker in [*self._open.items()]:
            self._try(kind, lambda tracker=tracker: tracker.log(values, iteration))

    def finish(self, code: int) -> None:
        """End the run in each."""
        for kind, tracker in [*self._open.items()]:
            self._try(kind, lambda tracker=tracker: tracker.finish(code))
        self._open = {}

    def _try(self, kind: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # a service or a network that fails must not end a run
            self._open.pop(kind, None)
            self._warn(f"logger.{kind} is off: {type(error).__name__}: {error}. Training continues.")
