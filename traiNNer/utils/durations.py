"""Durations as people write them: `90s`, `30m`, `8h`, `1h30m`, `2d`; a plain number means minutes."""

import math
import re

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
EXAMPLES = "90s, 30m, 8h, 1h30m or 2d"
_NUMBER = r"(\d+(?:\.\d+)?)"
_FORM = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m(?:in)?)?(?:{_NUMBER}s)?")


def seconds_of(text: str) -> float:
    """Return the seconds of a duration.

    Raises:
        ValueError: the text is not a duration, or nothing is left of it; the message says so.
    """
    plain = "".join(text.lower().split())
    if re.fullmatch(_NUMBER, plain):
        plain += "m"
    parts = _FORM.fullmatch(plain)
    if not parts or not any(parts.groups()):
        raise ValueError(f"not a duration. Write {EXAMPLES}.")
    seconds = sum(each * float(found or 0) for each, found in zip(UNITS.values(), parts.groups(), strict=True))
    if seconds <= 0 or not math.isfinite(seconds):
        raise ValueError("must be longer than nothing.")
    return seconds


def duration(seconds: float) -> str:
    """Return a duration as people say it: `45 s`, `30 min`, `1 h 30 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h" + (f" {rest} min" if rest else "") if hours else f"{minutes} min"
