"""NVIDIA's driver, asked without torch, and the torch that works with it."""

import shutil
import subprocess

INDEX = "https://download.pytorch.org/whl/"
"""Where torch with CUDA is installed from. What pip takes by itself has no CUDA on Windows."""
BUILDS = ((580, "cu130"), (525, "cu128"))
"""The least driver of each, newest first: a driver runs every CUDA of its major version."""
PATIENCE_S = 20


def cards_and_driver() -> tuple[tuple[str, ...], str] | None:
    """Return the cards and the driver as NVIDIA's own tool lists them; None where it is missing or fails."""
    program = shutil.which("nvidia-smi")
    if not program:
        return None
    call = [program, "--query-gpu=driver_version,name", "--format=csv,noheader"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    rows = [line.split(", ", 1) for line in done.stdout.splitlines() if ", " in line]
    return (tuple(row[1] for row in rows), rows[0][0]) if done.returncode == 0 and rows else None


def install_line(driver: str) -> str | None:
    """Return the command that installs a torch for a driver (`572.16`); None for one that is too old for any."""
    major = int(digits) if (digits := driver.partition(".")[0]).isdecimal() else 0
    build = next((name for least, name in BUILDS if major >= least), None)
    return build and f"pip install --force-reinstall torch torchvision --index-url {INDEX}{build}"
