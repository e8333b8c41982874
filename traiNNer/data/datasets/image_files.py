"""What every set of image files does: open, crop, replace the damaged, report what it holds."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from traiNNer.batch import Batch, Degrade, ImageSet, Sample, middle_of
from traiNNer.data.cache.images import DecodedImages, Rows
from traiNNer.data.files.fingerprint import fingerprint
from traiNNer.data.files.options import THE_END, FileOptions
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan, Selection
from traiNNer.data.order import seed_of_name
from traiNNer.data.transforms import bicubic_error, random_turn
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import Header, ImageError, read_image
from traiNNer.imaging.rows import read_rows

MOST_IN_A_ROW = 100  # so many damaged ones together mean a lost disk: trying on would only look like a hang


class ImageFiles(ImageSet):
    """Images in folders. What differs, where LQ comes from, is in the four abstract methods."""

    is_made_of_gt = False
    """Whether LQ is made of the ground truth, with degradations too; else they spoil the LQ of the files."""

    def __init__(
        self, scale: int, gt_roots: list[Path] | None, files: FileOptions, degrade: Degrade | None = None
    ) -> None:
        self.scale = scale
        self.degrade = degrade
        self.leaves_degradations = False
        self.gt_roots = gt_roots
        self.files = files
        self.crop_size = files.crop_size(scale)
        self.has_gt = gt_roots is not None
        self.strict = files.strict
        self.selection = Selection(Path(files.meta_info).expanduser() if files.meta_info else None, files.split)
        self.name = "dataset"
        self._decoded = DecodedImages(files.cache, files.cache_mb, self._decode, self._header)
        self._pairs: list[Pair] = []
        self._headers: dict[Path, Header] = {}

    def _header(self, path: Path) -> Header:
        """Return the header of a file. A method, because data workers that are not forked get it pickled."""
        return self._headers[path]

    @abstractmethod
    def _scan(self, crop: int | None) -> Scan:
        """Find and check every file; `crop` is the side of the training crops in LQ pixels. Raises `DataError`."""

    @abstractmethod
    def _crop(self, pair: Pair, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return a random crop of `side` LQ pixels, LQ and GT. Raises `ImageError`."""

    @abstractmethod
    def _whole(self, pair: Pair) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the whole LQ, and the GT cropped to LQ x scale. Raises `ImageError`."""

    @abstractmethod
    def _lq_shape(self, pair: Pair) -> tuple[int, int]:
        """Return height and width of the LQ, from the header."""

    def open(self, purpose: Literal["train", "val"], name: str) -> list[str]:
        """Find and check every file. Returns notices for the log.

        Raises:
            DataError: a folder or partner is missing, a file unreadable, a size wrong: a table names them all.
        """
        self.name = name
        if purpose == "train" and (self.gt_roots is None or self.crop_size is None):
            missing = "dataroot_gt" if self.gt_roots is None else "lq_size (or gt_size)"
            raise DataError(f"{name}: training needs {missing}")
        scan = self._scan(self.crop_size if purpose == "train" else None)
        scan.raise_if_broken()
        self._pairs, self._headers = scan.pairs, scan.headers
        self._decoded.use(self._searched(), list(dict.fromkeys(path for pair in self._pairs for path in pair.files)))
        if purpose == "val":
            self._decode_all(scan)
        return scan.notices

    def _decode_all(self, scan: Scan) -> None:
        """Decode the images once, as no other can replace a damaged one; those that are kept were good once.

        Raises:
            DataError: some are damaged; a table names them.
        """
        for path in dict.fromkeys(path for pair in self._pairs for path in pair.files):
            try:
                self._image(path)
            except ImageError as error:
                scan.add("damaged images", str(error))
        scan.raise_if_broken()

    def _searched(self) -> list[Path]:
        """Return the folders of the images."""
        return self.gt_roots or []

    def share_cache(self, processes: int) -> str:  # noqa: ARG002 - however many they are
        """Decide whether decoded images are kept; all processes share them. Returns a line for the log."""
        return self._decoded.plan()

    def relief(self) -> str:
        """Return what a user can do to have fewer images decoded."""
        return self._decoded.relief()

    def start_worker(self) -> None:
        """Get ready in a data worker."""
        self._decoded.after_fork()

    def __len__(self) -> int:
        return len(self._pairs)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Return a random crop as the last iterations have it: see `sample_at`."""
        return self.sample_at(index, rng, THE_END)

    def sample_at(self, index: int, rng: np.random.Generator, iteration: int) -> Sample:
        """Return a random crop of pair `index`, mirrored and turned. A damaged pair is replaced by the next good one.

        Without degradations both are views of the decoded images.

        Raises:
            DataError: this pair and the next hundred cannot be read.
        """
        skipped: list[str] = []
        for offset in range(min(len(self), MOST_IN_A_ROW)):
            pair, before = self._pairs[(index + offset) % len(self)], rng.bit_generator.state
            try:
                lq, gt = self._chosen_crop(pair, rng, iteration)
            except ImageError as error:
                skipped.append(str(error))
                rng.bit_generator.state = before
                continue
            lq, gt = random_turn(lq, gt, self.files.use_hflip, self.files.use_rot, rng)
            recipe_seed = None
            if self.degrade is not None:
                lq, gt = np.ascontiguousarray(lq), np.ascontiguousarray(gt)
                seed = int(rng.integers(2**63))
                if not self.leaves_degradations:
                    lq, gt = self._degraded(self.degrade, pair, lq, gt, seed)
                elif self._is_degraded(seed):
                    recipe_seed = seed
            return Sample(lq, gt, pair.key, skipped=tuple(skipped), recipe_seed=recipe_seed)
        raise DataError(f"{self.name}: {len(skipped)} images in a row cannot be read; first: {skipped[0]}")

    def _chosen_crop(self, pair: Pair, rng: np.random.Generator, iteration: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the hardest of the crops that are to be compared. Raises `ImageError`."""
        side = self.files.crop_size_at(self.scale, iteration)
        assert side is not None
        crops = [self._crop(pair, side, rng) for _ in range(self.files.candidates_at(iteration))]
        return crops[0] if len(crops) == 1 else max(crops, key=self._hardness)

    def _hardness(self, crop: tuple[np.ndarray, np.ndarray]) -> float:
        lq, gt = (middle_of(image, 3) for image in crop)
        return bicubic_error(lq, gt, self.scale)

    def whole(self, index: int) -> Sample:
        """Return the whole pair `index`, the ground truth cropped to LQ x scale. Raises `DataError` if damaged."""
        pair = self._pairs[index]
        try:
            lq, gt = self._whole(pair)
        except ImageError as error:
            raise DataError(f"{self.name}: damaged image {error}") from None
        lq, gt = _own(lq), None if gt is None else _own(gt)
        if self.degrade is not None:  # the same at every validation, in every run
            lq, gt = self._degraded(self.degrade, pair, lq, gt, seed_of_name(self._title(pair)))
        return Sample(lq, gt, pair.key)

    def _title(self, pair: Pair) -> str:
        """Return what the degradations of a whole image are drawn by."""
        return pair.key

    def leave_degradations(self) -> Callable[[Batch, int], Batch] | None:
        """Leave the degradations of training crops to the step, if the recipe can be made for a batch."""
        if self.degrade is None or not self.degrade.is_batched:
            return None
        self.leaves_degradations = True
        return partial(self.degrade.batch, is_made_of_gt=self.is_made_of_gt)

    def _is_degraded(self, seed: int) -> bool:  # noqa: ARG002 - a default
        """Tell whether the crop of this seed is degraded."""
        return True

    def _degraded(
        self,
        degrade: Degrade,
        pair: Pair,  # noqa: ARG002 - frames of a clip depend on it
        lq: np.ndarray,
        gt: np.ndarray | None,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        gt = None if gt is None else degrade.gt(gt, seed)
        source = gt if self.is_made_of_gt and gt is not None else lq
        return degrade.lq(source, seed, (lq.shape[0], lq.shape[1])), gt

    def _image(self, path: Path, rows: Rows | None = None) -> np.ndarray:
        """Return an image that must not be written to; where only some `rows` are asked for, others may be anything."""
        return self._decoded.get(path, rows)

    def _decode(self, path: Path, rows: Rows | None) -> np.ndarray:
        header = self._headers[path]
        image = read_rows(path, *rows, self.files.max_pixels) if rows else None
        if image is None:
            image = read_image(path, self.files.max_pixels)
        height, width = image.shape[:2]
        if (width, height) != (header.width, header.height):
            raise ImageError(path, f"changed since the start: {header.width}x{header.height} -> {width}x{height}")
        return image

    def describe(self, index: int) -> str:
        """Return the file that `sample(index, …)` reads first, for messages."""
        return str(self._pairs[index].source)

    def originals(self) -> list[Path]:
        """Return the files of the ground truth, in order."""
        return [pair.gt for pair in self._pairs if pair.gt]

    def smallest_output(self) -> tuple[int, int]:
        """Return height and width of the smallest image that will be made and compared."""
        height, width = min((self._lq_shape(pair) for pair in self._pairs), key=min)
        return height * self.scale, width * self.scale

    def fingerprint(self) -> dict[str, str | int]:
        """Return what identifies the images wherever they are: see `data.fingerprint`. Raises `DataError`."""
        try:
            files = ((pair.key, [path for path in (pair.lq, pair.gt) if path]) for pair in self._pairs)
            return fingerprint(files, self._headers)
        except OSError as error:
            raise DataError(f"{self.name}: an image cannot be read any more: {error}") from None


def _own(image: np.ndarray) -> np.ndarray:
    """Return an image that belongs to the caller: itself, unless it is kept where it cannot be written to."""
    return image if image.flags.writeable else image.copy()


def folders(roots: str | tuple[str, ...]) -> list[Path]:
    """Return the folders of an option that takes one or several."""
    return [Path(root).expanduser() for root in ((roots,) if isinstance(roots, str) else roots)]
