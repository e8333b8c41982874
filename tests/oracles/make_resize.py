"""Writes resize.json: small resized images by the definition, pixel by pixel in float64, nothing shared with ours.

Run `python tests/oracles/make_resize.py` from the repository root; the result does not change.
"""

import json
import math
from pathlib import Path

import numpy as np

CASES = [
    ("uint8", (8, 8), 0.5),
    ("uint8", (9, 7), 0.5),
    ("uint8", (9, 12), 1 / 3),
    ("uint16", (7, 10), 0.25),
    ("uint16", (5, 3), 2.0),
    ("float64", (6, 5), 3.0),
    ("float64", (11, 4), 0.7),
    ("uint8", (3, 3), 0.5),
    ("uint8", (1, 1), 4.0),
]


def keys(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def mirror(place: int, length: int) -> int:
    while not 0 <= place < length:
        place = -1 - place if place < 0 else 2 * length - 1 - place
    return place


def weights(out: int, length: int, factor: float) -> dict[int, float]:
    shrink = min(1.0, factor)
    center = (out + 0.5) / factor - 0.5
    reach = math.ceil(2 / shrink) + 1
    raw: dict[int, float] = {}
    for place in range(math.floor(center) - reach, math.floor(center) + reach + 2):
        inside = mirror(place, length)
        raw[inside] = raw.get(inside, 0.0) + keys((place - center) * shrink)
    total = sum(raw.values())
    return {place: weight / total for place, weight in raw.items()}


def naive_resize(image: np.ndarray, factors: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    out = np.zeros((*size, *image.shape[2:]))
    for y in range(size[0]):
        for x in range(size[1]):
            for i, wy in weights(y, image.shape[0], factors[0]).items():
                for j, wx in weights(x, image.shape[1], factors[1]).items():
                    out[y, x] += wy * wx * image[i, j].astype(np.float64)
    if image.dtype.kind == "u":
        out = np.floor(np.clip(out, 0, np.iinfo(image.dtype).max) + 0.5).astype(image.dtype)
    return out


def source(kind: str, shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng([ord(kind[-1]), *shape])
    if kind == "float64":
        return rng.integers(-1000, 1000, (*shape, 3)) / 512  # exact in binary
    return rng.integers(0, np.iinfo(kind).max, (*shape, 3), dtype=kind, endpoint=True)


def main() -> None:
    entries = []
    for kind, shape, scale in CASES:
        image = source(kind, shape)
        size = (math.ceil(shape[0] * scale), math.ceil(shape[1] * scale))
        result = naive_resize(image, (scale, scale), size)
        entries.append({"type": kind, "scale": scale, "image": image.tolist(), "result": result.tolist()})
    Path(__file__).with_name("resize.json").write_text(json.dumps(entries) + "\n")


if __name__ == "__main__":
    main()
