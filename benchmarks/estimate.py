"""Plants known degradations in photos, and counts how often `trainner estimate` finds them within 15 %.

    python -m benchmarks.estimate --data DIR [--photos 100] [--skip 0]

Every photo is degraded in each way, with values drawn evenly over a span, written as a file, and inspected as the
command does it. The photos are taken evenly from the folder, from number `--skip` on.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traiNNer.data.files.listing import list_images
from traiNNer.estimate.picture import Picture, inspect
from traiNNer.imaging.image_file import read_image

WITHIN, TARGET = 0.15, 0.9
FOLDERS = 1000
SUBSAMPLING = {"444": 0x111111, "422": 0x211111, "420": 0x221111}
Planted = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray | bytes, Any]]


@dataclass
class Row:
    """What was found of one kind of degradation: ratios of estimate by truth, or 1 and 0 for right and wrong.

    Args:
        is_name: whether names are compared, not numbers.
    """

    is_name: bool = False
    ratios: list[float] = field(default_factory=list)
    missed: int = 0

    def add(self, truth: Any, found: Any) -> None:
        """Add one image."""
        if found is None:
            self.missed += 1
        else:
            self.ratios.append(float(found == truth) if self.is_name else found / truth)

    @property
    def good(self) -> float:
        """Return the share within 15 %, those that were missed being wrong."""
        count = len(self.ratios) + self.missed
        return sum(abs(ratio - 1) <= WITHIN for ratio in self.ratios) / count

    @property
    def good_of_ten(self) -> float:
        """Return the share of folders whose median is within 15 %: ten images, drawn from those found."""
        if not self.ratios:
            return 0.0
        folders = np.random.default_rng(0).choice(self.ratios, (FOLDERS, 10))
        return float(np.mean(np.abs(np.median(folders, axis=1) - 1) <= WITHIN))

    def line(self, title: str) -> str:
        """Return the row of the table."""
        count = len(self.ratios) + self.missed
        spread = "" if self.is_name or not self.ratios else "{:.2f} ({:.2f} to {:.2f})".format(
            *np.quantile(self.ratios, [0.5, 0.05, 0.95])
        )  # fmt: skip
        folder = f"{100 * self.good_of_ten:.0f} %" if spread else ""
        return f"| {title} | {100 * self.good:.0f} % | {folder} | {spread} | {self.missed} of {count} |"


def _integers(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def blurred(image: np.ndarray, width: float) -> np.ndarray:
    """Return the image, blurred by a Gaussian, not rounded."""
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), width)


def noisy(image: np.ndarray, level: float, rng: np.random.Generator, gray: bool = False) -> np.ndarray:
    """Return the image with Gaussian noise, not rounded."""
    return image + rng.normal(0, level, (*image.shape[:2], 1 if gray else 3))


def enlarged(image: np.ndarray, factor: float, way: int) -> np.ndarray:
    """Return the image made smaller and enlarged again."""
    height, width = image.shape[:2]
    size = round(width / factor), round(height / factor)
    return cv2.resize(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (width, height), interpolation=way)


def jpeg(image: np.ndarray, quality: int, way: str = "420") -> bytes:
    """Return the content of a JPEG file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLING[way]]
    return cv2.imencode(".jpg", _integers(image)[..., ::-1], options)[1].tobytes()


def resaved(content: bytes) -> np.ndarray:
    """Return the pixels of a JPEG file."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None  # it was encoded here
    return image[..., ::-1]


def _quality(rng: np.random.Generator) -> int:
    return int(rng.integers(20, 91))


def _plant_file(image: np.ndarray, rng: np.random.Generator) -> tuple[bytes, Any]:
    quality = int(rng.integers(5, 100))
    return jpeg(image, quality), quality


def _plant_resaved(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    quality = _quality(rng)
    return resaved(jpeg(image, quality)), quality


def _plant_chroma(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    way = str(rng.choice(list(SUBSAMPLING)))
    return resaved(jpeg(image, _quality(rng), way)), way


def _noise(low: float, high: float, gray: bool = False) -> Planted:
    def plant(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
        level = rng.uniform(low, high)
        return noisy(image, level, rng, gray), level

    return plant


def _blur(low: float, high: float, noise: float = 0.0, quality: tuple[int, int] | None = None) -> Planted:
    def plant(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray | bytes, Any]:
        width = rng.uniform(low, high)
        made = noisy(blurred(image, width), noise, rng) if noise else blurred(image, width)
        return jpeg(made, int(rng.integers(*quality))) if quality else made, width

    return plant


def _scaling(*ways: int, noise: float = 0.0, quality: int | None = None) -> Planted:
    def plant(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray | bytes, Any]:
        factor = rng.uniform(1.2, 4)
        made = enlarged(image, factor, int(rng.choice(ways)))
        made = noisy(made, noise, rng) if noise else made
        return jpeg(made, quality) if quality else made, factor

    return plant


def _enlarged_by_whole(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    factor = int(rng.integers(2, 5))
    height, width = (side // 12 * 12 for side in image.shape[:2])
    return enlarged(image[:height, :width], factor, int(rng.choice([BICUBIC, BILINEAR]))), factor


def _gray(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Any]:
    gray = bool(rng.random() < 0.5)
    return noisy(image, rng.uniform(5, 30), rng, gray), gray


def _noise_then_jpeg(image: np.ndarray, rng: np.random.Generator) -> tuple[bytes, Any]:
    level = rng.uniform(10, 30)
    return jpeg(noisy(image, level, rng, gray=True), int(rng.integers(75, 96))), level


BICUBIC, BILINEAR, LANCZOS = cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4
CASES: dict[str, tuple[str, Planted]] = {
    "JPEG quality 5 to 99, the file": ("quality", _plant_file),
    "JPEG quality 20 to 90, saved again as PNG": ("quality", _plant_resaved),
    "chroma subsampling, quality 20 to 90, saved again as PNG": ("subsampling", _plant_chroma),
    "noise 5 to 10": ("noise", _noise(5, 10)),
    "noise 10 to 30": ("noise", _noise(10, 30)),
    "whether noise is gray, 5 to 30": ("is_gray", _gray),
    "gray noise 10 to 30, then JPEG 75 to 95": ("noise", _noise_then_jpeg),
    "blur 0.7 to 1.2": ("blur", _blur(0.7, 1.2)),
    "blur 1.2 to 3": ("blur", _blur(1.2, 3)),
    "blur 1 to 3, then noise 5": ("blur", _blur(1, 3, noise=5)),
    "blur 1 to 3, then noise 15": ("blur", _blur(1, 3, noise=15)),
    "blur 1 to 3, then JPEG 80 to 95": ("blur", _blur(1, 3, quality=(80, 96))),
    "blur 1 to 3, then JPEG 40 to 79": ("blur", _blur(1, 3, quality=(40, 80))),
    "enlarged 1.2 to 4, bicubic, bilinear or Lanczos": ("enlarged", _scaling(BICUBIC, BILINEAR, LANCZOS)),
    "enlarged by 2, 3 or 4": ("enlarged", _enlarged_by_whole),
    "enlarged 1.2 to 4, then noise 3": ("enlarged", _scaling(BICUBIC, BILINEAR, noise=3)),
    "enlarged 1.2 to 4, then JPEG 90": ("enlarged", _scaling(BICUBIC, BILINEAR, quality=90)),
}
NOTHING = "nothing"


def found_in(made: np.ndarray | bytes, folder: Path) -> Picture:
    """Return what is found in an image that is written as a file."""
    path = folder / ("made.jpg" if isinstance(made, bytes) else "made.png")
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        cv2.imwrite(str(path), _integers(made)[..., ::-1])
    return inspect(path)


def measure(photos: list[Path], tell: Callable[[str], None] = lambda _: None) -> dict[str, Row]:
    """Return the rows of the table, and what is found in photos as they are: each counted where nothing is there."""
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, (quantity, plant) in CASES.items():
            row = rows[title] = Row(is_name=quantity in ("subsampling", "is_gray"))
            for number, photo in enumerate(photos):
                made, truth = plant(read_image(photo), np.random.default_rng([number, len(rows)]))
                row.add(truth, getattr(found_in(made, Path(folder)), quantity))
            tell(row.line(title))
        for quantity in ("noise", "blur", "enlarged"):
            row = rows[f"photos as they are: no {quantity}"] = Row(is_name=True)
            for photo in photos:
                value = getattr(found_in(read_image(photo), Path(folder)), quantity)
                row.add(NOTHING, NOTHING if value is None else value)
            tell(row.line(f"photos as they are: no {quantity}"))
    return rows


def main() -> int:
    """Print the table. Returns 1 where a row misses the target of 90 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--skip", type=int, default=0)
    arguments = parser.parse_args()
    files = list(list_images(arguments.data).files.values())[arguments.skip :]
    chosen = files[:: max(1, len(files) // arguments.photos)][: arguments.photos]
    print(f"{len(chosen)} photos")
    print("| planted | within 15 % | median of ten images | estimate by truth (5 % to 95 %) | not found |")
    print("|---|---|---|---|---|")
    rows = measure(chosen, lambda line: print(line, flush=True))
    return int(any(row.good < TARGET for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
