"""Formats beside the usual ones: read where Pillow or one of its plugins does, named where nothing reads them."""

from contextlib import suppress
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

READERS = {
    "AVIF": (("PIL._avif", "pillow_avif"), "pip install pillow-avif-plugin"),
    "JPEG XL": (("pillow_jxl",), "pip install pillow-jxl-plugin"),
    "HEIC": (("pillow_heif",), "pip install pillow-heif"),
}
"""The modules that read a format, and what to do without one."""
ENDINGS = {"AVIF": (".avif",), "JPEG XL": (".jxl",), "HEIC": (".heic", ".heif")}
STARTS = (
    (b"GIF8", "GIF"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"%PDF", "PDF"),
    (b"PK\3\4", "ZIP"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"DDS ", "DDS"),
)
FOREIGN_ENDINGS = (
    *(".gif", ".jp2", ".j2k", ".jxr", ".tga", ".dds", ".ppm", ".pgm", ".pnm", ".exr", ".hdr", ".psd", ".svg", ".ico"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
    *(ending for endings in ENDINGS.values() for ending in endings),
)
"""Endings of images, some of which are not read here."""


def is_readable(kind: str) -> bool:
    """Return whether a module that reads the format is installed."""
    return any(_is_installed(module) for module in READERS[kind][0])


def plugins() -> list[str]:
    """Return name and version of the packages that are installed and let Pillow read more formats."""
    found = []
    for modules, advice in READERS.values():
        package = advice.split()[-1]
        if any(not module.startswith("PIL.") and _is_installed(module) for module in modules):
            with suppress(metadata.PackageNotFoundError):
                found.append(f"{package} {metadata.version(package)}")
    return found


def _is_installed(module: str) -> bool:
    """Return whether a module is there, without importing its package as `find_spec` would."""
    package, _, part = module.rpartition(".")
    spec = find_spec(package or module)
    if spec is None or not package:
        return spec is not None
    return any(list(Path(folder).glob(f"{part}.*")) for folder in spec.submodule_search_locations or ())


def what_it_is(start: bytes) -> str | None:
    """Return the name of the format that the first bytes show; None for one that nobody knows here."""
    if start[4:8] == b"ftyp":
        brands = start[8:12] + start[16:64]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return "HEIC" if any(brand in brands for brand in (b"heic", b"heix", b"mif1", b"msf1")) else "video"
    return next((name for mark, name in STARTS if start.startswith(mark)), None)


def open_with_plugin(kind: str, file: BinaryIO) -> "Image.Image | str":
    """Open a file of one of these formats with Pillow. Returns the reason where that cannot be done."""
    if kind not in READERS:
        return f"a {kind} file, which is not read: convert it to PNG"
    modules, advice = READERS[kind]
    if not is_readable(kind):
        return (
            f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind} file, which is not read here: convert it to PNG, or {advice}"
        )
    from PIL import Image

    for module in modules:
        if not module.startswith("PIL.") and _is_installed(module):
            plugin = import_module(module)
            getattr(plugin, "register_heif_opener", lambda: None)()
    try:
        return Image.open(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"damaged {kind}: {error}"
