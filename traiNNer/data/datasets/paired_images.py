"""Folders of image pairs: the small image and the large one it was made from."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from traiNNer.batch import Degrade
from traiNNer.data.datasets.image_files import ImageFiles, folders
from traiNNer.data.files.options import DEFAULTS, FileOptions, Folders
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan, scan_set
from traiNNer.data.transforms import random_place
from traiNNer.errors import DataError
from traiNNer.registry import DATASETS


@DATASETS.register()
class PairedImageDataset(ImageFiles):
    """Pairs found by their names in one or several folders, searched with their sub-folders.

    `degradations` spoil the LQ images.

    Args:
        dataroot_lq: folder of the small images, or a list of folders.
        dataroot_gt: folder of the large images, or a list with one for each of `dataroot_lq`; leave it out to test
            images without ground truth.
        made_of_gt: how often LQ is made of the ground truth by `degradations`, the LQ of the file being used as it is
            for all other crops; by default degradations spoil the LQ of every file.
    """

    def __init__(
        self,
        scale: int,
        dataroot_lq: Folders,
        dataroot_gt: Folders | None = None,
        made_of_gt: Annotated[float, Field(ge=0, le=1)] | None = None,
        files: FileOptions = DEFAULTS,
        degrade: Degrade | None = None,
    ) -> None:
        gt_roots = None if dataroot_gt is None else folders(dataroot_gt)
        super().__init__(scale, gt_roots, files, degrade)
        self.lq_roots = folders(dataroot_lq)
        self.made_of_gt = made_of_gt

    def _scan(self, crop: int | None) -> Scan:
        if self.gt_roots is None and self.selection.meta_info:
            raise DataError(f"{self.name}: meta_info lists images of dataroot_gt, which is left out")
        if self.gt_roots is not None and len(self.gt_roots) != len(self.lq_roots):
            raise DataError(
                f"{self.name}: {len(self.gt_roots)} folders in dataroot_gt, {len(self.lq_roots)} in dataroot_lq"
            )
        return scan_set(
            self.name, self.gt_roots, self.lq_roots, self.scale, crop, self.files.max_pixels, self.selection
        )

    def _searched(self) -> list[Path]:
        return [*(self.gt_roots or ()), *self.lq_roots]

    def _crop(self, pair: Pair, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        assert pair.gt is not None
        top, left = random_place(*self._lq_shape(pair), side, rng)
        crops = []
        for path, scale in ((pair.source, 1), (pair.gt, self.scale)):
            first, last = top * scale, (top + side) * scale
            crops.append(self._image(path, (first, last))[first:last, left * scale : (left + side) * scale])
        return crops[0], crops[1]

    def _whole(self, pair: Pair) -> tuple[np.ndarray, np.ndarray | None]:
        lq = self._image(pair.source)
        if pair.gt is None:
            return lq, None
        return lq, np.ascontiguousarray(self._image(pair.gt)[: lq.shape[0] * self.scale, : lq.shape[1] * self.scale])

    @property
    def is_made_of_gt(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether degradations make LQ of the ground truth, of some of the crops."""
        return self.made_of_gt is not None and self.has_gt

    def _is_degraded(self, seed: int) -> bool:
        return not self.is_made_of_gt or np.random.default_rng(seed).random() < (self.made_of_gt or 0)

    def _degraded(
        self, degrade: Degrade, pair: Pair, lq: np.ndarray, gt: np.ndarray | None, seed: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return super()._degraded(degrade, pair, lq, gt, seed) if self._is_degraded(seed) else (lq, gt)

    def paired_files(self) -> dict[str, tuple[Path, Path]]:
        """Return the files of GT and LQ by key; nothing without ground truth."""
        return {pair.key: (pair.gt, pair.lq) for pair in self._pairs if pair.gt and pair.lq}

    def _lq_shape(self, pair: Pair) -> tuple[int, int]:
        header = self._headers[pair.source]
        return header.height, header.width
