"""Where a run comes from: versions, machine, command line, commit."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traiNNer.utils.distribution import DISTRIBUTION, version_of

CHECKOUT = Path(__file__).parents[2]
PACKAGES = {"traiNNer": DISTRIBUTION, "torchvision": "torchvision", "numpy": "numpy", "spandrel": "spandrel"}


def provenance(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says once of every start; `environment` is the runtime's."""
    versions = {name: found for name, package in PACKAGES.items() if (found := version_of(package))}
    system = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    commit = {"commit": found} if (found := commit_of(CHECKOUT)) else {}
    return {"environment": {**environment, **versions, **system, **commit}, "command": shlex.join(sys.argv)}


def commit_of(checkout: Path) -> str | None:
    """Return the commit of a checkout, marked as `changed` where tracked files differ; None where it is none."""
    if not (checkout / ".git").exists():  # installed as a package, it may lie inside somebody's other repository
        return None
    call = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty= (changed)"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
