"""One row of the doctor's report."""

from dataclasses import dataclass
from typing import Literal

from traiNNer.doctor.machine import GIB

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One row of the report: what was checked, how it is, what was found, what that means and what to do."""

    check: str
    status: Status
    found: str
    meaning: str = ""
    fix: str = ""


def size(number: float) -> str:
    """Return a number of bytes as `1.5 GiB` or `64 MiB`."""
    return f"{number / GIB:.1f} GiB" if number >= GIB else f"{number / 2**20:.0f} MiB"
