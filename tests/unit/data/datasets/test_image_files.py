"""What every set of image files shares, with a smallest dataset in the place of the real ones."""

import numpy as np
import pytest
from imagekit import numbers, write_png

from traiNNer.data.datasets.image_files import MOST_IN_A_ROW, ImageFiles, folders
from traiNNer.data.files.options import FileOptions
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import ImageError, read_header

RNG = np.random.default_rng(0)


class Files(ImageFiles):
    """GT files whose LQ is every second pixel; `damaged` ones cannot be read."""

    def __init__(self, root, count=4, gt_roots=None, **files) -> None:
        super().__init__(2, [root] if gt_roots is None else gt_roots or None, FileOptions(**files))
        self.paths = [root / f"{number}.png" for number in range(count)]
        self.damaged: set[int] = set()
        self.asked: list[int | None] = []

    def _scan(self, crop):
        self.asked.append(crop)
        scan = Scan.__new__(Scan)
        scan.__dict__.update(pairs=[], headers={}, notices=["a notice"])
        scan.raise_if_broken = lambda: None
        for path in self.paths:
            scan.pairs.append(Pair(path.stem, path, None))
            scan.headers[path] = read_header(path)
        return scan

    def _crop(self, pair, rng):
        lq, gt = self._whole(pair)
        return lq[:2, :2], gt[:4, :4]

    def _whole(self, pair):
        if int(pair.key) in self.damaged:
            raise ImageError(pair.gt, "is damaged")
        gt = self._image(pair.gt)
        return gt[::2, ::2], gt

    def _lq_shape(self, pair):
        header = self._headers[pair.gt]
        return header.height // 2, header.width // 2
