"""Folders of image pairs: the small image and the large one it was made from."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from traiNNer.batch import Sample
from traiNNer.data.cache import ImageCache
from traiNNer.data.pairing import Pair
from traiNNer.data.scan import scan_set
from traiNNer.data.transforms import random_crop, random_turn
from traiNNer.errors import DataError
from traiNNer.registry import DATASETS
from traiNNer.utils.images import Header, ImageError, read_image

Folder = Annotated[str, Field(min_length=1)]
Folders = Folder | Annotated[tuple[Folder, ...], Field(min_length=1)]
MOST_IN_A_ROW = 100  # so many damaged ones together mean a lost disk: trying on would only look like a hang


@DATASETS.register()
class PairedImageDataset:
    """Pairs found by their names in one or several folders, searched with their sub-folders.

    Args:
        dataroot_lq: folder of the small images, or a list of folders.
        dataroot_gt: folder of the large images, or a list with one for each of `dataroot_lq`; leave it out to test
            images without ground truth.
        lq_size: side of the random training crops in LQ pixels; derived from `gt_size` when left out.
        gt_size: the same in GT pixels: `lq_size * scale`.
        use_hflip: mirror at random.
        use_rot: turn by 0, 90, 180 or 270 degrees at random.
        cache_mb: memory for decoded images, in MB, shared out among the reading processes.
        max_pixels: images of more megapixels are refused unread.
        strict: stop at the first damaged image instead of replacing it.
    """

    def __init__(
        self,
        scale: int,
        dataroot_lq: Folders,
        dataroot_gt: Folders | None = None,
        lq_size: Annotated[int, Field(gt=0)] | None = None,
        gt_size: Annotated[int, Field(gt=0)] | None = None,
        use_hflip: bool = True,
        use_rot: bool = True,
        cache_mb: Annotated[int, Field(ge=0)] = 1024,
        max_pixels: Annotated[float, Field(gt=0)] = 200,
        strict: bool = False,
    ) -> None:
        self.scale = scale
        self.lq_roots = _folders(dataroot_lq)
        self.gt_roots = None if dataroot_gt is None else _folders(dataroot_gt)
        self.lq_size = lq_size or (gt_size // scale if gt_size else None)
        self.use_hflip = use_hflip
        self.use_rot = use_rot
        self.max_megapixels = max_pixels
        self.strict = strict
        self.name = "dataset"
        self._cache_bytes = cache_mb * 1024**2
        self._cache = ImageCache(self._cache_bytes)
        self._pairs: list[Pair] = []
        self._headers: dict[Path, Header] = {}

    def open(self, purpose: Literal["train", "val"], name: str) -> list[str]:
        """Find and check every file. Returns notices for the log.

        Raises:
            DataError: a folder or partner is missing, a file unreadable, a size wrong: a table names them all.
        """
        self.name = name
        if purpose == "train" and (self.gt_roots is None or self.lq_size is None):
            missing = "dataroot_gt" if self.gt_roots is None else "lq_size (or gt_size)"
            raise DataError(f"{name}: training needs {missing}")
        if self.gt_roots is not None and len(self.gt_roots) != len(self.lq_roots):
            raise DataError(f"{name}: {len(self.gt_roots)} folders in dataroot_gt, {len(self.lq_roots)} in dataroot_lq")
        crop = self.lq_size if purpose == "train" else None
        scan = scan_set(name, self.gt_roots, self.lq_roots, self.scale, crop, self.max_megapixels)
        scan.raise_if_broken()
        self._pairs, self._headers = scan.pairs, scan.headers
        return scan.notices

    def share_cache(self, processes: int) -> None:
        """Divide the memory for decoded images among the reading processes."""
        self._cache = ImageCache(self._cache_bytes // max(1, processes))

    def __len__(self) -> int:
        return len(self._pairs)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Return a random crop of pair `index`, mirrored and turned. A damaged pair is replaced by the next good one.

        Raises:
            DataError: this pair and the next hundred cannot be read.
        """
        assert self.lq_size is not None
        skipped: list[str] = []
        for offset in range(min(len(self), MOST_IN_A_ROW)):
            pair = self._pairs[(index + offset) % len(self)]
            try:
                lq, gt = self._read(pair)
            except ImageError as error:
                skipped.append(str(error))
                continue
            assert gt is not None
            lq, gt = random_crop(lq, gt, self.lq_size, self.scale, rng)
            lq, gt = random_turn(lq, gt, self.use_hflip, self.use_rot, rng)
            return Sample(lq, gt, pair.key, tuple(skipped))
        raise DataError(f"{self.name}: {len(skipped)} images in a row cannot be read; first: {skipped[0]}")

    def whole(self, index: int) -> Sample:
        """Return the whole pair `index`, the ground truth cropped to LQ x scale. Raises `DataError` if damaged."""
        pair = self._pairs[index]
        try:
            lq, gt = self._read(pair)
        except ImageError as error:
            raise DataError(f"{self.name}: damaged image {error}") from None
        if gt is not None:
            gt = np.ascontiguousarray(gt[: lq.shape[0] * self.scale, : lq.shape[1] * self.scale])
        return Sample(lq, gt, pair.key)

    def _read(self, pair: Pair) -> tuple[np.ndarray, np.ndarray | None]:
        return self._image(pair.lq), None if pair.gt is None else self._image(pair.gt)

    def _image(self, path: Path) -> np.ndarray:
        return self._cache.get(str(path), lambda: self._decode(path))

    def _decode(self, path: Path) -> np.ndarray:
        image = read_image(path, self.max_megapixels)
        height, width = image.shape[:2]
        header = self._headers[path]
        if (width, height) != (header.width, header.height):
            raise ImageError(path, f"changed since the start: {header.width}x{header.height} -> {width}x{height}")
        return image

    def describe(self, index: int) -> str:
        """Return the file that `sample(index, …)` reads first, for messages."""
        return str(self._pairs[index].lq)

    def smallest_output(self) -> tuple[int, int]:
        """Return height and width of the smallest image that will be made and compared."""
        sizes = [(self._headers[pair.lq].height, self._headers[pair.lq].width) for pair in self._pairs]
        height, width = min(sizes, key=min)
        return height * self.scale, width * self.scale

    def fingerprint(self) -> dict[str, str | int]:
        """Return the count of pairs and a hash of their names and sizes."""
        digest = hashlib.sha256()
        for pair in self._pairs:
            header = self._headers[pair.lq]
            digest.update(f"{pair.key} {header.width}x{header.height}\n".encode("utf-8", "surrogateescape"))
        return {"count": len(self), "sha256": digest.hexdigest()}


def _folders(roots: str | tuple[str, ...]) -> list[Path]:
    return [Path(root).expanduser() for root in ((roots,) if isinstance(roots, str) else roots)]
