"""Checkpoints that are whole or do not exist: the state, then weights, then a record of their hashes.

A checkpoint is the record `training_states/<iteration>.json` plus the files it names. Everything is written aside,
synced and renamed, the record last; so a crash, a kill or a full disk leaves the previous checkpoint untouched. The
state comes first: weights without one are of a run whose states were deleted, not of a save that was killed.
"""

import contextlib
import hashlib
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from traiNNer.engine.checkpoint.decoding import DamagedCheckpoint, decode_state, decode_weights
from traiNNer.engine.checkpoint.record import FileIdentity, Record, read_record
from traiNNer.engine.checkpoint.weights_file import read_weights
from traiNNer.engine.run_folder import FolderLock, RunFolder, best_name, cause
from traiNNer.errors import CheckpointError, ConfigError
from traiNNer.utils.bounded import Misfit
from traiNNer.utils.files import open_regular, write_bytes_atomic

Weights = Mapping[str, Tensor]
SUPERSEDED = ".superseded"


@dataclass(frozen=True)
class Restored:
    """A verified checkpoint: weights by role (`net_g`, `net_g_ema`, `net_d`) and all else that a resume needs."""

    iteration: int
    weights: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


class CheckpointStore:
    """Saves, verifies, restores and retires the checkpoints of one run.

    Args:
        folder: of the run.
        weight_format: ending of weights files, `safetensors` or `pth`.
        keep_last: training states that are kept.
        lock: of the folder; None where nothing is written.
    """

    def __init__(
        self,
        folder: RunFolder,
        weight_format: str = "safetensors",
        keep_last: int = 3,
        lock: FolderLock | None = None,
    ) -> None:
        self.folder = folder
        self.lock = lock
        self.weight_format = weight_format
        self.keep_last = keep_last

    def save(
        self, iteration: int, weights: Mapping[str, Weights], state: dict[str, Any], about: Mapping[str, dict[str, Any]]
    ) -> list[str]:
        """Write one checkpoint and retire old states; `weights` and `about` go by role.

        Returns:
            Warnings of old states that could not be deleted.

        Raises:
            OSError: it could not be written completely; the checkpoints before are as they were.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        files = {self._state(iteration): buffer.getvalue()}
        for role, tensors in weights.items():
            path = self.folder.models / f"{role}_{iteration}.{self.weight_format}"
            files[path] = self.encode(role, tensors, about[role])
        record = {"iteration": iteration, "files": {path.name: _identity(data) for path, data in files.items()}}
        had_record = self._record(iteration).exists()
        try:
            for path, data in files.items():
                write_bytes_atomic(path, data)
            write_bytes_atomic(self._record(iteration), json.dumps(record, indent=1).encode())
        except OSError:
            if not had_record:
                _delete(files)
            raise
        return self._retire()

    def save_best(self, name: str, role: str, weights: Weights, about: dict[str, Any]) -> None:
        """Write the weights with the best score so far as `models/<name>`. Raises `OSError`."""
        write_bytes_atomic(self.folder.models / f"{name}.{self.weight_format}", self.encode(role, weights, about))

    def is_in_place(self) -> bool:
        """Return whether the run's folder is still the one that was locked; nothing may be written if not."""
        return self.lock is None or self.lock.is_in_place()

    def moved(self) -> "CheckpointStore | None":
        """Return the store at the place that the run's folder was renamed to; None if it was deleted."""
        place = self.lock.moved_to() if self.lock else None
        return CheckpointStore(self.folder.at(place), self.weight_format, self.keep_last) if place else None

    def best_file(self, name: str) -> Path | None:
        """Return the file of the best weights under a name, or None."""
        path = self.folder.models / f"{name}.{self.weight_format}"
        return path if path.exists() else None

    def copy_weights(self, source: Path, name: str) -> None:
        """Write a copy of a weights file under another name. Raises `OSError`."""
        write_bytes_atomic(source.with_stem(name), source.read_bytes())

    def encode(self, role: str, weights: Weights, about: dict[str, Any]) -> bytes:
        """Return the bytes of a weights file; `about` (arch, options, scale, …) travels in its metadata."""
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        if len({tensor.data_ptr() for tensor in plain.values()}) < len(plain):  # tied weights: the format forbids them
            plain = {name: tensor.clone() for name, tensor in plain.items()}
        about = about | {"role": role}
        if self.weight_format == "safetensors":
            return save_safetensors(plain, {"format": "pt", "traiNNer": json.dumps(about)})
        buffer = io.BytesIO()
        key = "params_ema" if role.endswith("_ema") else "params"
        torch.save({key: plain, "traiNNer": json.dumps(about)}, buffer)
        return buffer.getvalue()

    def iterations(self) -> list[int]:
        """Return the iterations of the committed checkpoints, newest first (by number, never by date)."""
        names = [path.stem for path in self.folder.training_states.glob("*.json")]
        return sorted((int(name) for name in names if name.isascii() and name.isdigit()), reverse=True)

    def load(self, iteration: int) -> Restored:
        """Read and verify one checkpoint. Raises `DamagedCheckpoint` naming the file."""
        record = self._read_record(iteration)
        files = {name: self._verified(name, identity) for name, identity in record.files.items()}
        state = decode_state(self._state(iteration), files.pop(f"{iteration}.state"))
        weights = {name.rsplit(f"_{iteration}.", 1)[0]: decode_weights(name, data) for name, data in files.items()}
        return Restored(iteration, weights, state)

    def newest(self) -> tuple[Restored, list[str]]:
        """Return the newest complete checkpoint and a warning for each damaged one that was passed over.

        Damaged states are kept beside the good ones as `.damaged`.

        Raises:
            CheckpointError: there is none that can be used.
        """
        found = self.iterations()
        damages: list[tuple[int, str]] = []
        for iteration in found:
            try:
                restored = self.load(iteration)
            except DamagedCheckpoint as damage:
                damages.append((iteration, str(damage)))
                continue
            for damaged, _ in damages:
                self._rename(damaged, ".damaged")
            return restored, [
                f"Checkpoint {damaged:,} is damaged ({what}). Using {iteration:,} instead; "
                f"{damaged - iteration:,} iterations will be repeated."
                for damaged, what in damages
            ]
        reasons = "".join(f"\n  {iteration}: {what}" for iteration, what in damages)
        raise CheckpointError(
            f"No usable checkpoint in {self.folder.training_states}; checked {len(found)}. "
            f"Nothing was changed.{reasons}"
        )

    def supersede_after(self, iteration: int) -> list[int]:
        """Rename the states after `iteration`, from which a run continues: they belong to an abandoned course."""
        later = [found for found in self.iterations() if found > iteration]
        for found in later:
            self._rename(found, SUPERSEDED)
        return later

    def weights(self) -> list[Path]:
        """Return every weights file that a run has written here."""
        return [path for ending in (".safetensors", ".pth") for path in self.folder.models.glob(f"net_*_*{ending}")]

    def weights_without_state(self) -> list[int]:
        """Return the iterations of weights whose training state is not there, newest first."""
        states = {path.stem for path in self.folder.training_states.glob("*.state")}
        named = {path.stem.rpartition("_")[2] for path in self.weights()}
        return sorted((int(name) for name in named - states if name.isascii() and name.isdigit()), reverse=True)

    def supersede_all(self) -> None:
        """Rename every file of a run that has no complete checkpoint to go on from."""
        records = (self.folder.metrics, self.folder.decisions)
        for path in (*self.weights(), *self.folder.training_states.glob("*.state"), *records):
            if path.exists():
                _rename_aside(path, SUPERSEDED)

    def keep_best_until(self, iteration: int, metrics: Iterable[str]) -> list[str]:
        """Rename the best weights of a course abandoned after `iteration`. Returns metrics without a file."""
        missing = []
        for metric in metrics:
            files = [path for path in self.weights() if path.stem == best_name(metric)]
            later = [path for path in files if _iteration_of(path) > iteration]
            for path in later:
                _rename_aside(path, SUPERSEDED)
            if len(later) == len(files):
                missing.append(metric)
        return missing

    def remove_leftovers(self) -> None:
        """Delete what a process left that was killed while saving or while deleting an old state.

        These are temporary files, states without a record, and the weights beside such a state if they are newer than
        the newest checkpoint. Without any checkpoint no state is deleted.
        """
        for place in (self.folder.root, self.folder.models, self.folder.training_states):
            _delete([*place.glob(".*.tmp-*"), *place.glob(".write-test-*")])
        recorded = self.iterations()
        for state in self.folder.training_states.glob("*.state") if recorded else ():
            if not (state.stem.isascii() and state.stem.isdigit()) or int(state.stem) in recorded:
                continue
            if int(state.stem) > recorded[0]:
                _delete([path for path in self.weights() if path.stem.rpartition("_")[2] == state.stem])
            _delete([state])

    def unrecorded_weights(self) -> list[Path]:
        """Return weights newer than the newest checkpoint to which no state belongs, not even one set aside.

        A save that was killed while it gave up leaves them, or a user who deleted states: so they are only reported.
        """
        recorded = self.iterations()
        known = {path.name.partition(".")[0] for path in self.folder.training_states.glob("*.*")}
        numbers = {path: path.stem.rpartition("_")[2] for path in self.weights()}
        numbers = {path: number for path, number in numbers.items() if number.isascii() and number.isdigit()}
        return sorted(path for path, n in numbers.items() if recorded and n not in known and int(n) > recorded[0])

    def _state(self, iteration: int) -> Path:
        return self.folder.training_states / f"{iteration}.state"

    def _record(self, iteration: int) -> Path:
        return self.folder.training_states / f"{iteration}.json"

    def _read_record(self, iteration: int) -> Record:
        path = self._record(iteration)
        try:
            return read_record(path, iteration)
        except OSError as error:
            raise DamagedCheckpoint(f"{path}: {cause(error)}") from None
        except Misfit as error:
            raise DamagedCheckpoint(f"{path}: record is not complete ({error})") from None

    def _verified(self, name: str, identity: FileIdentity) -> bytes:
        """Return the content of a file as recorded; weights may lie in `resume_models`, too.

        Raises:
            DamagedCheckpoint: it is missing, or differs from the record.
        """
        if name.endswith(".state"):
            return self._as_recorded(self.folder.training_states / name, identity)
        # Another run's folder may hold other weights under the same name: the record tells which are meant.
        if self.folder.resume_models != self.folder.models:
            with contextlib.suppress(DamagedCheckpoint):
                return self._as_recorded(self.folder.resume_models / name, identity)
        return self._as_recorded(self.folder.models / name, identity)

    def _as_recorded(self, path: Path, identity: FileIdentity) -> bytes:
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                data = file.read() if size == identity.size else b""
        except OSError as error:
            raise DamagedCheckpoint(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
        if len(data) != identity.size:
            raise DamagedCheckpoint(f"{path}: {size:,} bytes instead of {identity.size:,}")
        if hashlib.sha256(data).hexdigest() != identity.sha256:
            raise DamagedCheckpoint(f"{path}: checksum differs")
        return data

    def _rename(self, iteration: int, ending: str) -> None:
        for path in (self._record(iteration), self._state(iteration)):
            if path.exists():
                _rename_aside(path, ending)

    def _retire(self) -> list[str]:
        """Delete the oldest states beyond `keep_last`, record first: a state without a record does not count."""
        warnings = []
        for iteration in self.iterations()[self.keep_last :]:
            try:
                self._record(iteration).unlink(missing_ok=True)
                self._state(iteration).unlink(missing_ok=True)
            except OSError as error:
                warnings.append(f"Could not delete the old state {self._state(iteration)}: {cause(error)}.")
        return warnings


def _delete(files: Iterable[Path]) -> None:
    """Delete files; what cannot be deleted stays, and harms nothing but the space that it takes."""
    for path in files:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _rename_aside(path: Path, ending: str) -> None:
    """Add an ending to a file's name; what was set aside before under that name stays too."""
    aside, number = path.with_name(path.name + ending), 2
    while aside.exists():
        aside, number = path.with_name(f"{path.name}{ending}-{number}"), number + 1
    path.replace(aside)


def _iteration_of(path: Path) -> float:
    """Return the iteration that a weights file is of; infinity when it does not say."""
    try:
        return float(read_weights(path).about["iteration"])
    except (ConfigError, KeyError, TypeError, ValueError):
        return math.inf


def _identity(data: bytes) -> dict[str, int | str]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
