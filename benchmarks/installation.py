"""How large an installation is: what traiNNer and everything that it needs take on disk, and what of it is for CUDA.

python benchmarks/installation.py
"""

import argparse
import re
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CUDA = re.compile(r"nvidia|cuda|triton|nccl|nvshmem|cudnn")


def needed(project: Path = ROOT / "pyproject.toml") -> set[str]:
    """Return the installed distributions that the project needs, without extras, and those that they need."""
    found: set[str] = set()
    waiting = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    while waiting:
        text = waiting.pop()
        name = re.match(r"[\w.-]+", text)
        if name is None or "extra ==" in text or name[0].lower() in found:
            continue
        try:
            waiting += metadata.requires(name[0]) or []
        except metadata.PackageNotFoundError:  # of another system
            continue
        found.add(name[0].lower())
    return found


def sizes(name: str) -> dict[bool, int]:
    """Return the bytes of a distribution on disk, by whether they are for CUDA alone."""
    total = {True: 0, False: 0}
    for file in metadata.files(name) or []:
        place = Path(str(file.locate()))
        if place.is_file():
            total[bool(CUDA.search(f"{name} {place.name}"))] += place.stat().st_size
    return total


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0]).parse_args()
    rows = {name: sizes(name) for name in needed()}
    for name, size in sorted(rows.items(), key=lambda row: -sum(row[1].values()))[:12]:
        print(f"{name:28} {sum(size.values()) / 1e6:8,.0f} MB")
    cuda, other = (sum(size[kind] for size in rows.values()) / 1e6 for kind in (True, False))
    print(f"together {cuda + other:,.0f} MB in {len(rows)} packages; without what is for CUDA {other:,.0f} MB")


if __name__ == "__main__":
    main()
