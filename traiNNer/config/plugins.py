"""User files that register own components, imported once per process."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from traiNNer.config.files import missing_message
from traiNNer.config.tree import Node, Report

PACKAGE = Path(__file__).parents[1]
_imported: dict[Path, ModuleType] = {}


def import_plugins(root: Node, folder: Path, report: Report) -> None:
    """Import every file of `plugins`, relative to the option file's folder; report those that fail, with the line."""
    section = root.child("plugins")
    for node in section.value if section is not None and isinstance(section.value, list) else []:
        if isinstance(node.value, str):
            _import(node, (folder / Path(node.value).expanduser()).resolve(), report)


def place_of(error: BaseException) -> str:
    """Return where an error was raised, as `file.py line 12`: in a plugin if one took part, else in traiNNer itself."""
    frames = traceback.extract_tb(error.__traceback__)
    for is_wanted in (_is_plugin, _is_ours, lambda _: True):
        if wanted := [frame for frame in frames if is_wanted(frame)]:
            return f"{Path(wanted[-1].filename).name} line {wanted[-1].lineno}"
    return "line unknown"


def is_raised_by_plugin(error: BaseException) -> bool:
    """Whether an error comes from a plugin's code, or from a library that it called, and not from traiNNer's own."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_plugin(frame) or _is_ours(frame)]
    return bool(frames) and _is_plugin(frames[-1])


def _is_plugin(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename) in _imported


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).is_relative_to(PACKAGE)


def _import(node: Node, file: Path, report: Report) -> None:
    if file in _imported:
        return
    if not file.is_file():
        report.at(node, missing_message(file))
        return
    name = _module_name(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        report.at(node, "is not a Python file")
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # somebody else's code may raise anything
        del sys.modules[name]
        report.at(node, f"cannot be imported: {_cause(error, file)}")
        return
    _imported[file] = module


def _module_name(file: Path) -> str:
    """Return a name under which worker processes can import the file too, where its own name is still free."""
    if not file.stem.isidentifier() or importlib.util.find_spec(file.stem) is not None:
        return f"trainner_plugin_{len(_imported)}_{file.stem}"
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    return file.stem


def _cause(error: BaseException, file: Path) -> str:
    line = error.lineno if isinstance(error, SyntaxError) else None
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    line = line or (frames[-1].lineno if frames else None)
    where = f"{file.name} line {line}: " if line else ""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{where}{type(error).__name__}: {message}"
