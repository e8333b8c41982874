"""Names and texts of others as they may be shown: what they hold cannot command a terminal."""

import unicodedata

COMMANDS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that have no picture: control and format characters, halves of pairs, line separators."""
JOINERS = "\u200c\u200d"
"""Needed between letters of some scripts, and in emoji; they change nothing else."""


def printable(text: object) -> str:
    r"""Return a text with every character that has no picture as an escape: `\x1b[31m`, `\u202e`, `\xff`.

    Line breaks and tabs stay. A byte of a file name that is no UTF-8 is shown as that byte.
    """
    return "".join(_shown(character) for character in str(text))


def printable_name(name: object) -> str:
    """Return a name of a file, or another short text of someone else, for one line: line breaks are escaped too."""
    return printable(name).replace("\n", r"\n").replace("\t", r"\t")


def _shown(character: str) -> str:
    if character.isprintable() or character in "\n\t" or character in JOINERS:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # Python's sign for a byte that it could not decode
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) == "Zs":  # spaces of other widths
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
