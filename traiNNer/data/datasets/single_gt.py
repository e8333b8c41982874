"""Folders of sharp photos alone: the small images are made from them while training."""

import numpy as np

from traiNNer.batch import Degrade
from traiNNer.data.cache.images import Rows
from traiNNer.data.cache.recent import Recent
from traiNNer.data.datasets.image_files import ImageFiles, folders
from traiNNer.data.files.options import DEFAULTS, FileOptions, Folders
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan, scan_gt
from traiNNer.data.transforms import random_place
from traiNNer.registry import DATASETS
from traiNNer.utils.resize import imresize, imresize_crop

MARGIN = 3
"""Rows of LQ around a crop of which a shrunk crop is made: the kernel reaches two pixels to each side."""
SHRUNK_BYTES = 256 * 2**20
"""Most memory for the LQ of whole images, which are made and not read."""


@DATASETS.register()
class SingleGTDataset(ImageFiles):
    """Sharp photos in one or several folders, searched with their sub-folders; no small images are needed.

    LQ is the photo, cropped to a multiple of the scale, shrunk as MATLAB's `imresize` does it (bicubic, antialiased),
    bit for bit. For a training crop only that crop is shrunk, which gives the same pixels, at the borders too. With
    `degradations`, LQ is what they make of the photo, or of the crop.

    Args:
        dataroot_gt: folder of the photos, or a list of folders.
    """

    is_made_of_gt = True

    def __init__(
        self,
        scale: int,
        dataroot_gt: Folders,
        files: FileOptions = DEFAULTS,
        degrade: Degrade | None = None,
    ) -> None:
        self._folders = folders(dataroot_gt)
        super().__init__(scale, self._folders, files, degrade)
        self._shrunk = Recent(SHRUNK_BYTES)

    def _scan(self, crop: int | None) -> Scan:
        return scan_gt(self.name, self._folders, self.scale, crop, self.files.max_pixels, self.selection)

    def _crop(self, pair: Pair, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        scale = self.scale
        top, left = random_place(*self._lq_shape(pair), side, rng)
        gt = self._divisible(pair, ((top - MARGIN) * scale, (top + side + MARGIN) * scale))
        large = gt[top * scale : (top + side) * scale, left * scale : (left + side) * scale]
        return imresize_crop(gt, scale, top, left, side, side), large

    def _whole(self, pair: Pair) -> tuple[np.ndarray, np.ndarray | None]:
        gt = np.ascontiguousarray(self._divisible(pair))
        # Every validation asks for it again.
        return self._shrunk.get(pair.key, lambda: imresize(gt, size=self._lq_shape(pair))), gt

    def _divisible(self, pair: Pair, rows: Rows | None = None) -> np.ndarray:
        height, width = self._lq_shape(pair)
        return self._image(pair.source, rows)[: height * self.scale, : width * self.scale]

    def _lq_shape(self, pair: Pair) -> tuple[int, int]:
        header = self._headers[pair.source]
        return header.height // self.scale, header.width // self.scale
