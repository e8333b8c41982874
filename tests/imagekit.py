"""Image files written byte by byte for tests: independent of the library that the code under test decodes with."""

import struct
import zlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np

PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}


def numbers(*shape: int, bits: int = 8, seed: int = 0) -> np.ndarray:
    """Return a random integer image."""
    kind = np.uint16 if bits == 16 else np.uint8
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=kind)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bytes(image: np.ndarray, before: bytes = b"") -> bytes:
    """Return a PNG of an H, W, C image with 1 to 4 channels, 8 or 16 bits."""
    height, width, channels = image.shape
    rows = image.astype(f">u{image.itemsize}").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    return png_raw(width, height, 8 * image.itemsize, PNG_COLOURS[channels], data, before)


def png_raw(width: int, height: int, bits: int, color: int, data: bytes | None, before: bytes = b"") -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    content = b"" if data is None else png_chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + header + before + content + png_chunk(b"IEND", b"")


def tiff_bytes(
    image: np.ndarray,
    order: str = "<",
    orientation: int = 1,
    extra: int | None = None,
    photometric: int | None = None,
    sample_format: int = 1,
    palette: np.ndarray | None = None,
    planar: bool = False,
) -> bytes:
    """Return an uncompressed TIFF of one strip, or of one for each channel."""
    height, width, channels = image.shape
    stored = image.transpose(2, 0, 1) if planar else image
    data = stored.astype(image.dtype.newbyteorder(order)).tobytes()
    if photometric is None:
        photometric = 2 if channels >= 3 else 1
    tags: dict[int, tuple[str, tuple[int, ...]]] = {
        256: ("I", (width,)),
        257: ("I", (height,)),
        258: ("H", (8 * image.itemsize,) * channels),
        259: ("H", (1,)),
        262: ("H", (photometric,)),
        273: ("I", (8,)),
        274: ("H", (orientation,)),
        277: ("H", (channels,)),
        278: ("I", (height,)),
        279: ("I", (len(data),)),
        339: ("H", (sample_format,) * channels),
    }
    if planar:
        each = len(data) // channels
        tags |= {284: ("H", (2,)), 279: ("I", (each,) * channels)}
        tags[273] = ("I", tuple(8 + plane * each for plane in range(channels)))
    if extra is not None:
        tags[338] = ("H", (extra,))
    if palette is not None:
        tags[320] = ("H", tuple(int(value) for value in palette.T.ravel()))
    data += b"\0" * (len(data) % 2)
    first = 8 + len(data)
    outside = first + 2 + 12 * len(tags) + 4
    entries, more = b"", b""
    for tag, (form, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{form}", *values)
        entries += struct.pack(f"{order}HHI", tag, 3 if form == "H" else 4, len(values))
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", outside + len(more))
            more += packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}I", first) + data
    return head + struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0" + more


def write_png(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(image))
    return path


def write_pairs(
    root: Path,
    count: int,
    size: tuple[int, int] = (12, 14),
    scale: int = 2,
    seed: int = 0,
    bits: int = 8,
    smooth: bool = False,
) -> None:
    """Write root/hr and root/lr with `count` random pairs; `size` is that of LQ.

    `smooth` ones have 8 bits and fit each other, so that they can be trained on; others are unrelated noise.
    """
    for number in range(count):
        name = f"{number:03}.png"
        gt_size = (size[0] * scale, size[1] * scale)
        if smooth:
            gt = cv2.resize(numbers(6, 6, 3, seed=seed + number), gt_size[::-1], interpolation=cv2.INTER_CUBIC)
            lq = cv2.resize(gt, size[::-1], interpolation=cv2.INTER_AREA)
        else:
            lq = numbers(*size, 3, seed=seed + number, bits=bits)
            gt = numbers(*gt_size, 3, seed=1000 + seed + number, bits=bits)
        write_png(root / "lr" / name, lq)
        write_png(root / "hr" / name, gt)


def photo(name: str = "astronaut.png", size: tuple[int, int] = (256, 256), top: int = 0, left: int = 0) -> np.ndarray:
    """Return a part of a photo that ships with scikit-image, as H, W, 3 RGB."""
    return np.ascontiguousarray(_decoded(name)[top : top + size[0], left : left + size[1], ::-1])


@cache
def _decoded(name: str) -> np.ndarray:
    import skimage

    image = cv2.imread(str(Path(skimage.__file__).parent / "data" / name), cv2.IMREAD_COLOR)
    image.flags.writeable = False
    return image


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Return an image after JPEG compression at a quality."""
    data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


def moved(image: np.ndarray, down: float, right: float) -> np.ndarray:
    """Return an image shifted down and right by fractions of a pixel, with the Fourier transform."""
    height, width = image.shape[:2]
    # Mirrored to twice the size, to avoid wrap-around.
    whole = np.pad(image.astype(np.float64), ((0, height), (0, width), *[(0, 0)] * (image.ndim - 2)), "symmetric")
    spectrum = np.fft.fft2(whole, axes=(0, 1))
    fy, fx = np.fft.fftfreq(2 * height)[:, None], np.fft.fftfreq(2 * width)[None]
    turn = np.exp(-2j * np.pi * (fy * down + fx * right))
    result = np.fft.ifft2(spectrum * turn.reshape(*turn.shape, *[1] * (image.ndim - 2)), axes=(0, 1)).real
    return np.clip(np.rint(result[:height, :width]), 0, 255).astype(np.uint8)


def wide_profile(gamma: float = 2.4) -> bytes:
    """Return an ICC profile with the primaries of Display P3, which is not sRGB."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(number, values))

    def words(text: str) -> bytes:
        head = b"mluc\0\0\0\0\0\0\0\1\0\0\0\x0cenUS" + struct.pack(">II", 2 * len(text), 28)
        return head + text.encode("utf-16-be")

    curve = b"para\0\0\0\0\0\0\0\0" + number(gamma)
    tags = {b"desc": words("wide"), b"cprt": words("none"), b"wtpt": xyz((0.9642, 1, 0.8249))}
    tags |= {b"rXYZ": xyz((0.51512, 0.2412, -0.00105)), b"gXYZ": xyz((0.29198, 0.69225, 0.04189))}
    tags |= {b"bXYZ": xyz((0.1571, 0.06657, 0.78407)), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, data = struct.pack(">I", len(tags)), b""
    first = 132 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", first + len(data), len(padded))
        data += padded
    head = struct.pack(">I", 128 + len(table + data)) + b"none" + bytes([4, 0, 0, 0]) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acspAPPL" + bytes(4) + b"none" * 2 + bytes(12)
    return (head + xyz((0.9642, 1, 0.8249))[8:]).ljust(128, b"\0") + table + data
