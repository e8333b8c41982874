"""What the processor is called."""

import platform
from pathlib import Path


def cpu_name(root: Path = Path("/")) -> str:
    """Return the name that the processor gives itself."""
    try:
        with (root / "proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, "") or platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
