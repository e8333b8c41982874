"""What a JPEG file says of its compression: quantization tables and chroma subsampling, read without decoding.

Tables of the usual encoders follow from a quality of 1 to 100 by libjpeg's rule (IJG); the base tables are those of
ITU-T T.81, annex K.
"""

from dataclasses import dataclass

import numpy as np

SIDE = 8
LUMA = np.array(
    [
        (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
        (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
        (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
    ]
)  # fmt: skip
CHROMA = np.full((SIDE, SIDE), 99)
CHROMA[:4, :4] = [(17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99)]
SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420"}
"""By how often luma is sampled horizontally and vertically where chroma is sampled once."""
START, TABLES, SCAN, ALONE = 0xD8, 0xDB, 0xDA, (0x01, *range(0xD0, 0xD8))
FRAMES = (0xC0, 0xC1, 0xC2)


@dataclass(frozen=True)
class JpegTables:
    """How a JPEG file was compressed.

    Args:
        luma: the steps of the luma table, 8 x 8 by frequency, rows being vertical.
        subsampling: `444`, `422` or `420`; None for a gray file and for other ways.
    """

    luma: np.ndarray
    subsampling: str | None

    @property
    def quality(self) -> int:
        """Return the quality whose table is nearest, 1 to 100: exactly that of encoders which follow libjpeg."""
        return quality_of(self.luma)


def standard_steps(quality: int, base: np.ndarray = LUMA) -> np.ndarray:
    """Return the 8 x 8 steps of a quality from 1 to 100."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((base * percent + 50) // 100, 1, 255)


def quality_of(steps: np.ndarray) -> int:
    """Return the quality whose 8 x 8 luma steps differ least from these, in the mean of their logarithms."""
    distances = [float(np.abs(np.log(steps / standard_steps(quality))).mean()) for quality in range(1, 101)]
    return int(np.argmin(distances)) + 1


def read_tables(content: bytes) -> JpegTables | None:
    """Return what the header of a JPEG file says; None for other files and for one that ends in its header."""
    if content[:2] != bytes((0xFF, START)):
        return None
    tables: dict[int, np.ndarray] = {}
    place, frame = 2, b""
    while place + 4 <= len(content):
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF or marker in ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[place + 2 : place + 4])
        body = content[place + 4 : place + 2 + length]
        if marker == SCAN:
            return _read_frame(frame, tables)
        if marker == TABLES:
            tables |= _read_steps(body)
        elif marker in FRAMES:
            frame = body
        place += 2 + max(length, 2)
    return None


def _read_steps(body: bytes) -> dict[int, np.ndarray]:
    found, place = {}, 0
    while place < len(body):
        wide, number = divmod(body[place], 16)
        kind = np.dtype(">u2" if wide else "u1")
        end = place + 1 + SIDE * SIDE * kind.itemsize
        if end > len(body):
            break
        steps = np.zeros(SIDE * SIDE, np.int64)
        steps[_ZIGZAG] = np.frombuffer(body[place + 1 : end], kind)
        found[number] = np.maximum(steps.reshape(SIDE, SIDE), 1)
        place = end
    return found


def _read_frame(frame: bytes, tables: dict[int, np.ndarray]) -> JpegTables | None:
    count = frame[5] if len(frame) > 5 else 0
    parts = [frame[6 + 3 * number : 9 + 3 * number] for number in range(count)]
    if not parts or len(parts[-1]) < 3 or parts[0][2] not in tables:
        return None
    factors = [divmod(part[1], 16) for part in parts]
    is_usual = len(parts) == 3 and factors[1] == factors[2] == (1, 1)
    return JpegTables(tables[parts[0][2]], SUBSAMPLINGS.get(factors[0]) if is_usual else None)


def _zigzag() -> np.ndarray:
    places = [(row, column) for row in range(SIDE) for column in range(SIDE)]
    # Along each diagonal, upward on the even ones.
    places.sort(key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]))
    return np.array([row * SIDE + column for row, column in places])


_ZIGZAG = _zigzag()
