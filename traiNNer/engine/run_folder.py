"""Where a run's files are, and the lock that keeps a second run out."""

import json
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, ClassVar

from pydantic import BaseModel, TypeAdapter

from traiNNer.config.options import CommonOptions
from traiNNer.errors import CannotWrite, FolderInUse
from traiNNer.utils.bounded import Misfit, parse
from traiNNer.utils.files import create_new, nearest_existing, open_own


@dataclass(frozen=True)
class RunFolder:
    """The folders of one run; explicit `path.*` options win over the defaults below `root`."""

    root: Path
    models: Path
    resume_models: Path
    training_states: Path
    log: Path
    visualization: Path

    @property
    def metrics(self) -> Path:
        """The record of the run: one JSON object a line."""
        return self.root / "metrics.jsonl"

    @property
    def decisions(self) -> Path:
        """What the training automations decided: one JSON object a line."""
        return self.root / "decisions.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tb_logger"

    @property
    def examples(self) -> Path:
        """Crops of the last validation, which the report shows."""
        return self.root / "examples"

    def at(self, root: Path) -> "RunFolder":
        """Return the same folders after `root` was moved; those outside stay where they are."""

        def moved(place: Path) -> Path:
            return root / place.relative_to(self.root) if place.is_relative_to(self.root) else place

        return RunFolder(**{field.name: moved(getattr(self, field.name)) for field in fields(self)})

    def place_image(self, set_name: str, key: str, iteration: int) -> Path:
        """Return where the output of a validation image is written."""
        return self.visualization / set_name / key / f"{Path(key).name}_{iteration}.png"


def run_folder(options: CommonOptions) -> RunFolder:
    """Return the folders of the run `options.name`."""
    path = options.path
    root = Path(path.experiments_root).expanduser() / options.name

    def folder(given: str | None, default: str) -> Path:
        return Path(given).expanduser() if given else root / default

    models = folder(path.models, "models")
    return RunFolder(
        root=root,
        models=models,
        resume_models=Path(path.resume_models).expanduser() if path.resume_models else models,
        training_states=folder(path.training_states, "training_states"),
        log=folder(path.log, "log"),
        visualization=folder(path.visualization, "visualization"),
    )


def check_writable(folder: RunFolder) -> None:
    """Look, without writing, whether the folders could be made. Raises `CannotWrite`."""
    for place in (folder.root, folder.models, folder.training_states, folder.log):
        near = nearest_existing(place)
        step = next((path for path in (place, *place.parents) if os.path.lexists(path)), near)
        if step != near and not step.is_dir():
            raise CannotWrite(f"Cannot write to {place} ({step} is a file).")
        if not os.access(near, os.W_OK | os.X_OK):
            raise CannotWrite(f"Cannot write to {place} (no permission to write in {near}, user {_user()}).")


def create(folder: RunFolder) -> None:
    """Make the folders and prove that they can be written.

    Raises:
        CannotWrite: naming the folder, the cause and the user.
    """
    for place in (folder.root, folder.models, folder.training_states, folder.log):
        try:
            place.mkdir(parents=True, exist_ok=True)
            probe = place / f".write-test-{secrets.token_hex(8)}"
            os.close(create_new(probe))
            probe.unlink()
        except OSError as error:
            raise CannotWrite(f"Cannot write to {place} ({cause(error)}, user {_user()}).") from None


def cause(error: OSError) -> str:
    """Return the system's words for an error, in lower case."""
    return (error.strerror or str(error)).lower()


def _user() -> str:
    try:
        import getpass

        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


class _Holder(BaseModel):
    pid: int
    host: str
    since: str


_HOLDER = TypeAdapter(_Holder)
LONGEST_LOCK = 10_000  # characters; a lock has about 100


class FolderLock:
    """Holds `<root>/.lock` for the life of the process; the system frees it however the process ends.

    The system lets one process lock a file twice, and frees the lock when any handle of it is closed. So the locks of
    this process are remembered, and looked up before a file is opened: a notebook may train in several threads.
    """

    _here: ClassVar[set[tuple[int, int]]] = set()
    _entering: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, root: Path) -> None:
        self._path = root / ".lock"
        self._file: IO[str] | None = None
        self._folder: int | None = None
        self._key: tuple[int, int] | None = None

    def __enter__(self) -> "FolderLock":
        """Take the lock. Raises `FolderInUse` naming the owner, `CannotWrite` when the file cannot be made."""
        with self._entering:
            if _key(self._path) in self._here:
                raise FolderInUse(f"{self._path.parent} is in use by another run of this process. Choose another name.")
            self._take()
            self._key = _key(self._path)
            self._here.add(self._key)
        return self

    def _take(self) -> None:
        try:
            self._file = open(self._path, "a+", encoding="utf-8", opener=open_own)  # noqa: SIM115 - closed in __exit__
        except OSError as error:
            raise CannotWrite(f"Cannot write to {self._path} ({cause(error)}, user {_user()}).") from None
        try:
            _lock(self._file)
        except OSError:
            with self._file:
                owner = _owner(_content(self._file))
            raise FolderInUse(f"{self._path.parent} is in use by {owner}. Choose another name or stop it.") from None
        self._file.seek(0)
        self._file.truncate()
        started = time.strftime("%Y-%m-%d %H:%M")
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": started}, self._file)
        self._file.flush()
        if os.name != "nt":  # a folder cannot be opened there, nor renamed while a file in it is open
            self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        if self._file:
            self._file.close()
        if self._key is not None:
            self._here.discard(self._key)
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def is_in_place(self) -> bool:
        """Return whether the folder still has this lock: it has not when it was deleted, renamed or made anew."""
        return self._file is None or self._locks(self._path)

    def moved_to(self) -> Path | None:
        """Return where the folder was renamed to; None where that is unknown or it was deleted."""
        if self._folder is None:
            return None
        try:
            place = Path(os.readlink(f"/proc/self/fd/{self._folder}"))  # noqa: PTH115 - no path
        except OSError:
            return None
        return place if self._locks(place / self._path.name) else None

    def _locks(self, path: Path) -> bool:
        assert self._file is not None
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), path.lstat())
        except OSError:
            return False


def _key(path: Path) -> tuple[int, int]:
    """Return what tells a file from every other; of one that is not there, what no file has."""
    try:
        status = path.lstat()
    except OSError:
        return -1, -1
    return status.st_dev, status.st_ino


def _content(file: IO[str]) -> str:
    try:
        file.seek(0)
        return file.read(LONGEST_LOCK)
    except OSError:  # some systems let nobody read a locked file
        return ""


def _owner(text: str) -> str:
    try:
        owner = parse(_HOLDER, text)
    except Misfit:
        return "another process"
    return f"process {owner.pid} on host {owner.host} since {owner.since}"


def _lock(file: IO[str]) -> None:
    try:
        import msvcrt
    except ImportError:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]


def best_name(metric: str) -> str:
    """Return the name of the file with the best weights by a metric (`psnr`) or by one set's (`set5/psnr`)."""
    return f"net_g_best_{metric.replace('/', '_')}"
