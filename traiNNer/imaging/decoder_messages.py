"""What the image decoders print: they report damage on stderr, without the name of the file."""

import contextlib
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from traiNNer.utils.printable import printable

KNOWN = re.compile(
    r"^(libpng |Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|Invalid SOS|Warning[:,] |\[|"
    r"_?TIFF\w*: |\w+(Decode|Setup|Encode)\w*: |tempfile\.tif: )"
)
# What libjpeg makes up or leaves out of the picture, and every error of libtiff. What libpng warns of is in no pixel:
# its errors fail. A few bytes between the image and its end mark are padding. Pillow gives libtiff a "tempfile.tif".
DAMAGE = re.compile(r"^(Corrupt JPEG data|Premature end of JPEG|\[ERROR|\w+Decode\w*: |tempfile\.tif: (?!Warning))")
PADDING = re.compile(r"^Corrupt JPEG data: \d{1,2} extraneous bytes before marker")
STDERR = 2
_LOCK = threading.Lock()


@dataclass
class Heard:
    """The lines that a decoder printed."""

    lines: list[str] = field(default_factory=list)

    @property
    def damage(self) -> str:
        """The first line that reports damage to the picture, empty without one."""
        found = (line for line in self.lines if DAMAGE.match(line) and not PADDING.match(line))
        return next((re.sub(r"^\[ERROR.*?\] global \S+ \S+ ", "", line) for line in found), "")


@contextlib.contextmanager
def decoder_heard() -> Iterator[Heard]:
    """Catch what decoders print while the block runs; what anything else prints is passed through."""
    heard = Heard()
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _caught(heard):
            yield heard


@contextlib.contextmanager
def _caught(heard: Heard) -> Iterator[None]:
    try:
        before = os.dup(STDERR)
    except OSError:  # a process without stderr: nobody would see the lines
        yield
        return
    try:
        with _scratch() as scratch:
            os.dup2(scratch.fileno(), STDERR)
            try:
                yield
            finally:
                os.dup2(before, STDERR)
                if os.fstat(scratch.fileno()).st_size:
                    scratch.seek(0)
                    _sort(scratch.read(64 * 1024).decode(errors="replace"), heard)
    finally:
        os.close(before)


def _scratch() -> BinaryIO:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("decoder"), "r+b")
    return tempfile.TemporaryFile()  # pyright: ignore[reportReturnType] - a wrapper on some systems


def _sort(text: str, heard: Heard) -> None:
    for line in text.splitlines():
        if KNOWN.match(line):
            heard.lines.append(line)
        elif line:
            print(printable(line), file=sys.stderr)
