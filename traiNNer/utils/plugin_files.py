"""Python files of users that register own components: imported once per process, in data workers as in the main one."""

import importlib.util
import sys
import traceback
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parents[1]
_imported: dict[Path, ModuleType] = {}


def import_file(file: Path, name: str | None = None) -> ModuleType:
    """Import a file; one that was imported before is not run again.

    Args:
        file: Its absolute path.
        name: Name of the module, as another process chose it; by default the file's own where that is free.

    Raises:
        ImportError: it is not a Python file.
        Exception: whatever the file raises.
    """
    if file not in _imported:
        spec = importlib.util.spec_from_file_location(name or _free_name(file), file)
        if spec is None:
            raise ImportError("is not a Python file")
        _imported[file] = _run(spec)
    return _imported[file]


def imported_files() -> list[tuple[str, str]]:
    """Return path and module name of every imported file, in order, for `import_files` in another process."""
    return [(str(file), module.__name__) for file, module in _imported.items()]


def import_files(files: Iterable[tuple[str, str]]) -> None:
    """Import what `imported_files` of another process returned. Raises as `import_file` does."""
    for file, name in files:
        import_file(Path(file), name)


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


def involves_plugin(error: BaseException) -> bool:
    """Whether a plugin's code took part in what raised an error, be it that it called traiNNer's own wrongly."""
    return any(_is_plugin(frame) for frame in traceback.extract_tb(error.__traceback__))


def _is_plugin(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename) in _imported


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).is_relative_to(PACKAGE)


def _run(spec: ModuleSpec) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        assert spec.loader is not None
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _free_name(file: Path) -> str:
    """Return the file's own name, by which plugins import each other, unless it is taken or no identifier."""
    if not file.stem.isidentifier() or importlib.util.find_spec(file.stem) is not None:
        return f"trainner_plugin_{len(_imported)}_{file.stem}"
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    return file.stem
