"""Unquoted YAML words to values: the core schema of YAML 1.2, without the traps of 1.1.

`true` and `false` are the only booleans, `1e-4` is a number, a date is text. What other readers take for something
else (`012` for 10, `1:30` for 90) is refused instead of guessed.
"""

import math
import re

NULL = {"", "~", "null", "Null", "NULL"}
BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
WHOLE = re.compile(r"[-+]?[0-9]+")
BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
CLOCK = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")
MAX_DIGITS = 30


def plain_scalar(word: str) -> str | int | float | bool | None:
    """Return the value of an unquoted word. Raises `ValueError`, with what to write instead, for an ambiguous one."""
    if word in NULL:
        return None
    if word in BOOLEAN:
        return BOOLEAN[word]
    if LEADING_ZERO.fullmatch(word):
        number = re.sub(r"^([-+]?)0+(?=[0-9])", r"\1", word)
        raise ValueError(f'is ambiguous (octal elsewhere). Write {number}, or "{word}" for a text.')
    if CLOCK.fullmatch(word):
        raise ValueError(f'is ambiguous (base 60 elsewhere). Write a plain number, or "{word}" for a text.')
    if WHOLE.fullmatch(word):
        if len(word) > MAX_DIGITS:
            raise ValueError(f"has more than {MAX_DIGITS} digits.")
        return int(word)
    if BASED.fullmatch(word):
        return int(word[:MAX_DIGITS], 0)
    return _number(word) if FLOAT.fullmatch(word) else word


def _number(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise ValueError("is too large for a number.")
    return value
