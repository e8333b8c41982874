"""The installed command `trainner`: looks for another package called `traiNNer` before it imports ours."""

import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

NAMESAKES = ("traiNNer-redux", "trainner")
"""Distributions with a package of the same name; the second differs by letter case, which Windows and macOS ignore."""


def main() -> int:
    """Run a command. Returns the exit code: 2 where another package lies in the way."""
    if message := conflict():
        sys.stderr.write(f"{message}\n")
        return 2
    from traiNNer.cli import main as run

    return run()


def conflict() -> str | None:
    """Return what to do where `import traiNNer` finds the files of another project, or a mixture; None if all is well.

    One that is installed in another place, and found later, does no harm.
    """
    spec = find_spec("traiNNer")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    for name in NAMESAKES:
        try:
            other = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if folder is None or not (folder / "cli/main.py").is_file() or _lies_in(other, folder):
            return (
                f"{name} {other.version} is installed in this environment, and both are imported as traiNNer.\n"
                "Give each a separate environment (python -m venv), or keep this one:\n"
                f"  pip uninstall {name}\n"
                "  pip install --force-reinstall --no-deps trainner-sr"
            )
    return None


def _lies_in(other: metadata.Distribution, folder: Path) -> bool:
    """Return whether a distribution has put its package into the folder that ours is in."""
    roots = [file for file in other.files or () if str(file).lower() == "trainner/__init__.py"]
    places = [Path(str(other.locate_file(file))) for file in roots]
    return any(place.exists() and place.samefile(folder / "__init__.py") for place in places)
