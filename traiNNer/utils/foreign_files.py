"""What a file is by its first bytes, where it is no file of weights: said in words, with what to do about it."""

from pathlib import Path

HEAD = 4096  # bytes that tell
LONGEST_HEADER = 100_000_000  # bytes of a safetensors header; the format allows no more


class ForeignFile(Exception):
    """A file that cannot be used; the text continues a sentence that begins with the file's name."""


MAGIC = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself: get it with `git lfs pull` or a download"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it first"),
    (b"BZh", "is compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ\0", "is compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"\x89HDF\r\n", "is an HDF5 file (Keras), not a weights file of PyTorch"),
    (b"GGUF", "is a GGUF file, not a weights file of PyTorch"),
    (b"\x93NUMPY", "is a NumPy array, not a weights file of PyTorch"),
    (b"7767517\n", "is an ncnn description, not a weights file of PyTorch: take the file it was converted from"),
    (b"\x89PNG\r\n", "is a PNG image, not a weights file"),
    (b"\xff\xd8\xff", "is a JPEG image, not a weights file"),
    (b"RIFF", "is a WebP image or another RIFF file, not a weights file"),
)  # fmt: skip
WEB_PAGE = "is a web page, not a weights file: the download gave an error or a page to log in; download it again"
ONNX = "is an ONNX model, not a weights file of PyTorch: take the .pth or .safetensors it was converted from"
TAR = "is a tar archive: unpack it first (files that torch wrote before version 0.2 are tar archives too)"
ZEROS = "holds only zeros where it should begin: it was not downloaded or copied completely; get it again"
JSON = "is JSON text, not a weights file: perhaps the answer of a server instead of the file"
CUT_OFF = "is cut off: it was not downloaded or copied completely; get it again"


def refuse_special(path: Path) -> None:
    """Raise `ForeignFile` for what is not a regular file or is empty. Raises `OSError` for what cannot be read."""
    if path.is_dir():
        raise ForeignFile("is a folder, not a file")
    if not path.exists():
        raise ForeignFile("does not exist")
    if not path.is_file():  # a pipe would be waited for
        raise ForeignFile("is a pipe or a device, not a file")
    if path.stat().st_size == 0:
        raise ForeignFile("is empty (0 bytes): not a weights file")


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins as the safetensors format does: the length of a JSON object, and that object."""
    return 2 <= int.from_bytes(head[:8], "little") <= LONGEST_HEADER and head[8:9] == b"{"


def is_zip(head: bytes) -> bool:
    """Whether a file begins as a zip archive does, which is what torch writes."""
    return head.startswith(b"PK\x03\x04")


def is_pickle(head: bytes) -> bool:
    """Whether a file begins as a pickle of protocol 2 or later does, which is what torch wrote before version 1.6."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= pickle_protocols()


def pickle_protocols() -> int:
    """Return the highest protocol of pickles."""
    from pickle import HIGHEST_PROTOCOL

    return HIGHEST_PROTOCOL


def what_it_is(head: bytes, suffix: str) -> str:
    """Return what a file is whose first bytes are those of no weights, as the end of a sentence.

    Args:
        head: its first bytes, `HEAD` of them or all.
        suffix: the ending of its name.
    """
    start = head.lstrip()[:256].lower()
    suffix = suffix.lower()
    known = [text for magic, text in MAGIC if head.startswith(magic)]
    guesses = (
        (start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<")), WEB_PAGE),
        (head[257:262] == b"ustar", TAR),
        (suffix == ".onnx" or _is_onnx(head), ONNX),
        (head[4:8] == b"TFL3", "is a TensorFlow Lite model, not a weights file of PyTorch"),
        (not head.strip(b"\0"), ZEROS),
        (start.startswith((b"{", b"[")), JSON),
        (_is_text(head), f"is text, not a weights file ({_shown(head)})"),
    )
    known += [text for holds, text in guesses if holds]
    kind = "safetensors" if suffix == ".safetensors" else "weights"
    return known[0] if known else f"is not a readable {kind} file (unknown content)"


def _is_onnx(head: bytes) -> bool:
    """Whether these are the first two fields of ONNX: the version of its format, then the program that wrote it."""
    return head[:1] == b"\x08" and len(head) > 4 and 1 <= head[1] <= 32 and head[2] in (0x12, 0x1A, 0x3A, 0x42)


def _is_text(head: bytes) -> bool:
    try:
        text = head[:256].decode("utf-8", "strict" if len(head) <= 256 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\r\n\t" for char in text)


def _shown(head: bytes) -> str:
    words = " ".join(head[:60].decode("utf-8", "ignore").split())
    return f"it begins with '{words}'"
