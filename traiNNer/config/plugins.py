"""The files that an option file names under `plugins`."""

import traceback
from pathlib import Path

from traiNNer.config.files import missing_message
from traiNNer.config.tree import Node, Report
from traiNNer.utils.plugin_files import import_file


def import_plugins(root: Node, folder: Path, report: Report) -> None:
    """Import every file of `plugins`, relative to the option file's folder; report those that fail, with the line."""
    section = root.child("plugins")
    for node in section.value if section is not None and isinstance(section.value, list) else []:
        if isinstance(node.value, str):
            _import(node, (folder / Path(node.value).expanduser()).resolve(), report)


def _import(node: Node, file: Path, report: Report) -> None:
    if not file.is_file():
        report.at(node, missing_message(file))
        return
    try:
        import_file(file)
    except (Exception, SystemExit) as error:  # somebody else's code may raise anything
        report.at(node, f"cannot be imported: {_cause(error, file)}")


def _cause(error: BaseException, file: Path) -> str:
    line = error.lineno if isinstance(error, SyntaxError) else None
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    line = line or (frames[-1].lineno if frames else None)
    where = f"{file.name} line {line}: " if line else ""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{where}{type(error).__name__}: {message}"
