"""What a training sample costs: with decoded images kept, while they are being kept, and decoded for every crop.

    python benchmarks/data_path.py --data PHOTOS

Makes PNG pairs of 512x512 and of 2040x1356 pixels by laying photos beside each other, and takes crops of 64 LQ pixels
at scale 2 with flips and rotation. Beside ours run the same operations without a framework: OpenCV that decodes whole
images, and, where pyvips is installed, libvips in the order of traiNNer-redux (sequential, converted to sRGB, cropped,
turned, float). Milliseconds of the processor in one process, every way in turns, medians over the rounds.
`--iterations 10000` measures instead how the memory of a run's processes grows. `--quick` only shows that it works.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VIPS_CONCURRENCY", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import numpy as np
import torch

from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.data.demo import prepare_demo
from traiNNer.data.files.options import FileOptions
from traiNNer.data.loader import TrainLoader
from traiNNer.data.transfer import collate
from traiNNer.imaging.image_file import SUFFIXES, read_image, write_image
from traiNNer.utils.resize import imresize

SCALE, CROP, BATCH = 2, 64, 8
SIZES = {"512x512": (512, 512, 24), "2040x1356": (1356, 2040, 8)}
QUICK = {"176x160": (160, 176, 2)}
CACHED, FIRST, OFF = "kept", "first epoch", "cache: off"
OPENCV, VIPS = "OpenCV, whole images", "libvips, as redux"
SETTLED = 500
"""Iterations after which the memory of a run should no longer grow."""


def mosaic(photos: Sequence[Path], height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return an H, W, 3 image of photos beside and below each other, with the texture that they have."""
    image = np.empty((height, width, 3), np.uint8)
    top = 0
    while top < height:
        left, rows = 0, height - top
        while left < width:
            tile = read_image(photos[rng.integers(len(photos))])[: height - top, : width - left]
            image[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            left, rows = left + tile.shape[1], min(rows, tile.shape[0])
        top += rows
    return image


def write_pairs(folder: Path, photos: Sequence[Path], height: int, width: int, count: int) -> None:
    rng = np.random.default_rng(0)
    for place in range(count):
        gt = mosaic(photos, height, width, rng)
        write_image(folder / "hr" / f"{place:03}.png", gt)
        write_image(folder / "lr" / f"{place:03}.png", imresize(gt, 1 / SCALE))


def opened(folder: Path, cache: str) -> PairedImageDataset:
    files = FileOptions(lq_size=CROP, cache=cache)
    dataset = PairedImageDataset(SCALE, str(folder / "lr"), str(folder / "hr"), files=files)
    dataset.open("train", "train")
    dataset.share_cache(0)
    return dataset


def ours(dataset: PairedImageDataset, seed: int) -> None:
    """Take one crop of every image and stack them to batches, as a data worker does."""
    rng = np.random.default_rng(seed)
    for start in range(0, len(dataset), BATCH):
        collate([dataset.sample(place, rng) for place in range(start, min(start + BATCH, len(dataset)))])


def plain(read: Callable[[Path, tuple[int, int, int, int]], np.ndarray], folder: Path, count: int, seed: int) -> None:
    """Take one crop of every image without a framework: C, H, W float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    for place in range(count):
        name = f"{place:03}.png"
        height, width = sides_of(folder / "lr" / name)
        top, left = (int(rng.integers(0, side - CROP + 1)) for side in (height, width))
        mirrored, quarters = bool(rng.integers(2)), int(rng.integers(4))
        for part, scale in (("lr", 1), ("hr", SCALE)):
            box = (left * scale, top * scale, CROP * scale, CROP * scale)
            crop = read(folder / part / name, box)
            crop = np.rot90(crop[:, ::-1] if mirrored else crop, quarters).astype(np.float32) / 255
            torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))


def sides_of(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        head = file.read(24)
    return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")


def with_opencv(path: Path, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, width, height = box
    return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)[top : top + height, left : left + width]


def with_vips(path: Path, box: tuple[int, int, int, int]) -> np.ndarray:
    import pyvips

    image = pyvips.Image.new_from_file(str(path), access="sequential", fail=True).icc_transform("srgb")
    return image.crop(*box).numpy()


def has_vips() -> bool:
    try:
        import pyvips
    except (ImportError, OSError):
        return False
    pyvips.cache_set_max(0)
    return True


def measure(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Return the median milliseconds a sample of every way."""
    kept, off = opened(folder, str(folder / "kept")), opened(folder, "off")
    for seed in range(2):  # fill it, and look at every image once
        ours(kept, seed)
    ways: dict[str, Callable[[int], None]] = {
        CACHED: lambda seed: [ours(kept, seed + again) for again in range(4)] and None,
        FIRST: lambda seed: ours(opened(folder, str(folder / f"new{seed}")), seed),
        OFF: lambda seed: ours(off, seed),
        OPENCV: lambda seed: plain(with_opencv, folder, count, seed),
    }
    if has_vips():
        ways[VIPS] = lambda seed: plain(with_vips, folder, count, seed)
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(rounds):
        for way, run in ways.items():
            started = time.process_time()
            run(seed)
            spent[way].append(1000 * (time.process_time() - started) / count / (4 if way == CACHED else 1))
    return {way: statistics.median(values) for way, values in spent.items()}


def rows(size: str, found: dict[str, float]) -> Iterator[str]:
    beside = found.get(VIPS, found[OPENCV])
    for way, milliseconds in found.items():
        yield f"| {size} | {way} | {milliseconds:.2f} | {beside / milliseconds:.1f} |"
    crops = (found[FIRST] - found[CACHED]) / max(1e-9, beside - found[CACHED])
    yield f"| {size} | crops of an image after which keeping it has paid | {crops:.1f} | |"


def resident(process: int) -> int:
    """Return the memory of a process that is its own or that of its maps, in bytes."""
    return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(folder: Path, iterations: int) -> Iterator[str]:
    """Run data workers for many iterations. Yields how their memory and that of the main process grew."""
    settled = min(SETTLED, iterations // 2)
    for cache in (str(folder / "kept"), "off"):
        dataset = opened(folder, cache)
        loader = TrainLoader(dataset, seed=1, batch_size=BATCH, total_iter=iterations + 1, workers=2)
        sizes = {}
        for iteration, _ in enumerate(loader):
            if iteration in (settled, iterations):
                workers = [worker.pid for worker in loader._iterator._workers]
                sizes[iteration] = [resident(process) / 2**20 for process in (os.getpid(), *workers)]
        loader.close()
        before, after = sizes[settled], sizes[iterations]
        names = ", ".join(f"{old:.0f} -> {new:.0f}" for old, new in zip(before, after, strict=True))
        told = "off" if cache == "off" else "kept"
        yield f"cache {told}: main process and workers, MB after {settled} and {iterations} iterations: {names}"
        yield f"cache {told}: grown by {sum(after) / sum(before) - 1:.1%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of photos; by default those of the demo")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--iterations", type=int, help="measure memory over so many iterations instead")
    parser.add_argument("--quick", action="store_true", help="tiny images and one round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        if args.data is None:
            prepare_demo(work / "demo")
        photos = sorted(path for path in (args.data or work / "demo/train/hr").rglob("*") if path.suffix in SUFFIXES)
        if not args.iterations:
            print("| images | way | ms of the processor a sample | times as fast as the last |\n|---|---|---|---|")
        for size, (height, width, count) in (QUICK if args.quick else SIZES).items():
            write_pairs(work / size, photos, height, width, count)
            if args.iterations:
                print("\n".join(growth(work / size, args.iterations)))
                break
            print("\n".join(rows(size, measure(work / size, count, 1 if args.quick else args.rounds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
