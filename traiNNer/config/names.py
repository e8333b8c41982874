"""Which names may become folders: letters of any script, digits, space, `.`, `_`, `-`, and emoji."""

import unicodedata

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³")}
MAX_CHARACTERS, MAX_BYTES = 100, 255
JOINER = "\u200d"  # holds emoji of several parts together


def refusal(name: str) -> str | None:
    """Return why a name cannot be a folder on Linux, macOS and Windows alike, or None when it can."""
    shown = name if name.isprintable() and len(name) <= MAX_CHARACTERS else ascii(name)[1:41]
    rule = f'"{shown}" is not allowed. Use letters, digits, space, . _ - (1-{MAX_CHARACTERS} characters), no path.'
    if not name or len(name) > MAX_CHARACTERS or not all(_allowed(character) for character in name):
        return rule
    if len(name.encode()) > MAX_BYTES:
        return f"{rule} It is longer than {MAX_BYTES} bytes."
    if name[0] in ". " or name[-1] in ". ":
        return f"{rule} It must not begin or end with a dot or space."
    if name.split(".", 1)[0].strip().lower() in RESERVED:
        return f"{rule} Windows reserves this name."
    return None


def _allowed(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LMN" or category == "So" or character in f" ._-{JOINER}" or _is_skin_tone(character)


def _is_skin_tone(character: str) -> bool:
    return 0x1F3FB <= ord(character) <= 0x1F3FF
