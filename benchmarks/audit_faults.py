"""Plants faults in clean photos and counts what `trainner audit --deep` finds, and its false alarms.

    python benchmarks/audit_faults.py [--data FOLDER] [--scale 2] [--half tuned|unseen|both|whole]

Limits were tuned on one random half of the photos only; the other half validates them.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from traiNNer.audit.deep import look_deep, workers
from traiNNer.audit.findings import KINDS
from traiNNer.audit.survey import survey
from traiNNer.data.demo import PHOTOS, TRAIN, VAL
from traiNNer.data.files.header_cache import read_headers
from traiNNer.imaging.image_file import ImageError, read_image
from traiNNer.utils.resize import imresize

SHARE = 0.1
LEAST_SIDE = 200
TILE = 192
TARGET_RECALL, TARGET_ALARMS, TARGET_RATE = 0.95, 0.01, 50
HEADER_FILES, HEADER_SIZE = 200, (1440, 1440)


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]


def moved(image: np.ndarray, down: float, right: float) -> np.ndarray:
    move = np.array([[1, 0, right], [0, 1, down]], np.float64)
    size = (image.shape[1], image.shape[0])
    return cv2.warpAffine(image, move, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)


class Planter:
    """One dataset on disk: photos as HR, LR made from them, and the planted faults: name of the fault -> keys."""

    def __init__(self, root: Path, photos: dict[str, np.ndarray], scale: int) -> None:
        self.root, self.photos, self.scale = root, photos, scale
        self.planted: dict[str, list[str]] = {}
        for key, photo in photos.items():
            self.write(key, photo, self.small(photo))

    def small(self, photo: np.ndarray) -> np.ndarray:
        """Return the correct LR."""
        return imresize(photo, 1 / self.scale)

    def write(self, key: str, gt: np.ndarray | None = None, lq: np.ndarray | None = None) -> None:
        """Write HR, LR or both of a key."""
        for part, image in (("hr", gt), ("lr", lq)):
            if image is not None:
                write(self.root / part / f"{key}.png", image)

    def shift(self, key: str, place: int, by: float) -> None:
        """Shift down, right or both, in turn in HR before shrinking and in LR."""
        down, right = ((by, 0), (0, -by), (-by, by))[place % 3]
        photo = self.photos[key]
        if place % 2:
            self.write(key, lq=self.small(moved(photo, down, right)))
        else:
            self.write(key, lq=moved(self.small(photo), down / self.scale, right / self.scale))

    def kernel(self, key: str, place: int) -> None:
        """Make LR with OpenCV's kernels, alternating."""
        photo = self.photos[key]
        size = (photo.shape[1] // self.scale, photo.shape[0] // self.scale)
        kinds = (cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_AREA, cv2.INTER_NEAREST)
        self.write(key, lq=cv2.resize(photo, size, interpolation=kinds[place % 4]))

    def jpeg(self, key: str, place: int) -> None:  # noqa: ARG002 - all planters have one form
        """Compress HR; LR is made from the result."""
        gt = jpeg(self.photos[key], 60)
        self.write(key, gt, self.small(gt))

    def enlarged(self, key: str, place: int) -> None:
        """Shrink HR and enlarge it again."""
        photo = self.photos[key]
        kind = (cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4)[place % 3]
        gt = cv2.resize(imresize(photo, 0.5), photo.shape[1::-1], interpolation=kind)
        self.write(key, gt, self.small(gt))

    def color(self, key: str, place: int) -> None:
        """Swap, shift or compress the colors of LR in turn."""
        lq = self.small(self.photos[key]).astype(np.float32)
        changed = (lq[:, :, ::-1], lq + np.float32([4, -4, 0]), lq * (219 / 255) + 16)[place % 3]
        self.write(key, lq=np.clip(np.rint(changed), 0, 255).astype(np.uint8))

    def exact(self, key: str, place: int) -> None:  # noqa: ARG002
        """Add a copy under another name."""
        self.write(f"zz_{key}", self.photos[key], self.small(self.photos[key]))

    def near(self, key: str, place: int) -> None:
        """Add a copy that was encoded again."""
        gt = jpeg(self.photos[key], (95, 90, 85)[place % 3])
        self.write(f"zz_{key}", gt, self.small(gt))

    def wrong_scale(self, key: str, place: int) -> None:  # noqa: ARG002
        """Shrink LR too much."""
        self.write(key, lq=imresize(self.photos[key], 1 / (self.scale + 1)))

    def black(self, key: str, place: int) -> None:  # noqa: ARG002
        """Make HR and LR black."""
        gt = np.zeros_like(self.photos[key])
        self.write(key, gt, self.small(gt))

    def swap(self, keys: list[str]) -> list[str]:
        """Swap the LR images of photos of equal shape in pairs; return the keys of the swapped ones."""
        done, left = [], {}
        for key in keys:
            other = left.pop(self.photos[key].shape, None)
            if other is None:
                left[self.photos[key].shape] = key
                continue
            self.write(key, lq=self.small(self.photos[other]))
            self.write(other, lq=self.small(self.photos[key]))
            done += [other, key]
        return done

    def plant(self, fault: str, keys: list[str]) -> None:
        """Plant a fault in the given images."""
        if fault == "swapped pair":
            self.planted[fault] = self.swap(keys)
            return
        for place, key in enumerate(keys):
            FAULTS[fault][0](self, key, place)
        copies = FAULTS[fault][1] in ("exact", "near")
        self.planted[fault] = [f"zz_{key}" for key in keys] if copies else keys


Plant = Callable[[Planter, str, int], None]
FAULTS: dict[str, tuple[Plant, str]] = {
    "shift by 0.5 px": (lambda planter, key, place: planter.shift(key, place, 0.5), "misaligned"),
    "shift by 1 px": (lambda planter, key, place: planter.shift(key, place, 1), "misaligned"),
    "shift by 2 px": (lambda planter, key, place: planter.shift(key, place, 2), "misaligned"),
    "swapped pair": (Planter.exact, "wrong_pair"),
    "wrong kernel": (Planter.kernel, "kernel"),
    "JPEG quality 60": (Planter.jpeg, "jpeg"),
    "exact duplicate": (Planter.exact, "exact"),
    "near duplicate, encoded again": (Planter.near, "near"),
    "wrong scale": (Planter.wrong_scale, "wrong_scale"),
    "black image": (Planter.black, "flat"),
    "HR enlarged 2x": (Planter.enlarged, "soft"),
    "color of LR": (Planter.color, "color"),
}
# Disjoint images of one dataset, with so few faults that most of it stays clean.
SETS = (
    (),
    ("shift by 0.5 px", "shift by 1 px", "shift by 2 px"),
    ("swapped pair", "wrong kernel", "JPEG quality 60"),
    ("exact duplicate", "near duplicate, encoded again", "wrong scale"),
    ("black image", "HR enlarged 2x", "color of LR"),
)


def load(folder: Path, scale: int) -> dict[str, np.ndarray]:
    photos = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            continue
        try:
            image = read_image(path)
        except ImageError:
            continue
        height, width = (side - side % scale for side in image.shape[:2])
        if min(height, width) >= LEAST_SIDE and image.dtype == np.uint8:
            photos[path.stem] = image[:height, :width]
    return photos


def demo_tiles() -> dict[str, np.ndarray]:
    """Return crops of the demo photos, which are too few as a whole."""
    tiles = {}
    for name in sorted({*TRAIN, *VAL}):
        image = read_image(PHOTOS / name)
        for top in range(0, image.shape[0] - TILE + 1, TILE):
            for left in range(0, image.shape[1] - TILE + 1, TILE):
                tiles[f"{Path(name).stem}_{top}_{left}"] = image[top : top + TILE, left : left + TILE]
    return tiles


def look(photos: dict[str, np.ndarray], scale: int, faults: tuple[str, ...], seed: int) -> tuple[Counter, Counter, int]:
    """Return (fault -> found), (kind -> false alarms) and the number of clean photos, of one set with these faults."""
    with tempfile.TemporaryDirectory() as folder:
        planter = Planter(Path(folder), photos, scale)
        keys = list(photos)
        random.Random(seed).shuffle(keys)
        count = max(2, round(len(keys) * SHARE))
        for fault in faults:
            planter.plant(fault, keys[:count])
            del keys[:count]
        found = survey(Path(folder) / "hr", Path(folder) / "lr")
        findings = [*found.findings, *look_deep(found).findings]
    hits = {(finding.kind, finding.name) for finding in findings}
    recall = Counter(
        {fault: sum((FAULTS[fault][1], key) in hits for key in planter.planted[fault]) for fault in faults}
    )
    clean = set(keys)
    alarms = Counter(kind for kind, name in hits if name in clean)
    alarms["all"] = len({name for _, name in hits if name in clean})
    for kind, name in sorted(hits):
        if name in clean:
            print(f"    false alarm: {name} {kind}", file=sys.stderr)
    for fault in faults:
        missed = [key for key in planter.planted[fault] if (FAULTS[fault][1], key) not in hits]
        if missed:
            print(f"    missed: {fault} in {', '.join(missed)}", file=sys.stderr)
    planted = Counter({f"{fault} planted": len(planter.planted[fault]) for fault in faults})
    return recall + planted, alarms, len(clean)


def report(title: str, photos: dict[str, np.ndarray], scale: int, seed: int) -> None:
    found, alarms, clean = Counter(), Counter(), 0
    started = time.perf_counter()
    for number, faults in enumerate(SETS):
        more, wrong, count = look(photos, scale, faults, seed + number)
        found, alarms, clean = found + more, alarms + wrong, clean + count
    print(f"\n{title}: {len(photos)} photos, {scale}x, {time.perf_counter() - started:.0f} s\n")
    print("| fault | verdict | planted | found | recall | target met |")
    print("|---|---|---|---|---|---|")
    for fault, (_, kind) in FAULTS.items():
        planted = found[f"{fault} planted"]
        if not planted:  # no two photos of equal shape to swap
            print(f"| {fault} | {kind} | 0 | | | |")
            continue
        recall = found[fault] / planted
        print(f"| {fault} | {kind} | {planted} | {found[fault]} | {recall:.1%} | {recall >= TARGET_RECALL} |")
    print(f"\n| false alarms on {clean} clean photos | count | rate | target met |")
    print("|---|---|---|---|")
    for kind in sorted({kind for _, kind in FAULTS.values()} | set(alarms) - {"all"}, key=list(KINDS).index):
        print(f"| {kind} | {alarms[kind]} | {alarms[kind] / clean:.2%} | {alarms[kind] / clean <= TARGET_ALARMS} |")
    print(
        f"| all together | {alarms['all']} | {alarms['all'] / clean:.2%} | {alarms['all'] / clean <= TARGET_ALARMS} |"
    )


def report_headers() -> None:
    """Time the header pass of uncached PNGs of 2 megapixels."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        image = np.random.default_rng(0).integers(0, 256, (*HEADER_SIZE, 3), np.uint8)
        write(Path(folder) / "0.png", image)
        paths = [Path(folder) / f"{number}.png" for number in range(HEADER_FILES)]
        for path in paths[1:]:
            path.write_bytes(paths[0].read_bytes())
        started, started_cpu = time.perf_counter(), time.process_time()
        read_headers(paths, 200)
        wall, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    print(f"\nHeaders of {HEADER_FILES} PNGs, {HEADER_SIZE[0]}x{HEADER_SIZE[1]}, uncached: {wall:.2f} s,")
    each = HEADER_FILES / wall / workers()
    print(
        f"{each:.0f} images/s for each of {workers()} cores (target {TARGET_RATE}); {HEADER_FILES / cpu:.0f} per CPU s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="folder of photos (default: the demo photos)")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", choices=("tuned", "unseen", "both", "whole"), default="both")
    options = parser.parse_args()
    report_headers()
    photos = load(options.data, options.scale) if options.data else demo_tiles()
    keys = sorted(photos)
    random.Random(options.seed).shuffle(keys)
    halves = {"tuned": sorted(keys[: len(keys) // 2]), "unseen": sorted(keys[len(keys) // 2 :])}
    if options.half == "whole":
        report("The whole folder", {name: photos[name] for name in sorted(keys)}, options.scale, options.seed)
    titles = {"tuned": "The half that the limits were tuned on", "unseen": "The other half"}
    for half, names in halves.items():
        if options.half in (half, "both"):
            report(titles[half], {name: photos[name] for name in names}, options.scale, options.seed)


if __name__ == "__main__":
    main()
