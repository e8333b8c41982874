"""Pairs of films, or of folders of their frames: the small ones and the large ones that they were made from."""

from pathlib import Path

import numpy as np

from traiNNer.batch import Degrade
from traiNNer.data.datasets.clips import ClipFiles, ClipSize
from traiNNer.data.datasets.image_files import folders
from traiNNer.data.files.films import has_films, scan_films
from traiNNer.data.files.options import DEFAULTS, FileOptions, Folders
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan, scan_set
from traiNNer.errors import DataError
from traiNNer.registry import DATASETS


@DATASETS.register()
class PairedVideoDataset(ClipFiles):
    """Frames of films with those around them, and the ground truth of the one in the middle.

    Frames are images: those of one clip lie in one folder, have names that differ in the last number, and follow each
    other by that number. With PyAV installed, folders may hold films instead. Windows end at scene cuts and at both
    ends of a clip: the last frame of the scene stands in for those beyond. `degradations` spoil the LQ frames, all of a
    clip with the same parameters.

    Args:
        dataroot_lq: folder of the small frames, with one folder for each clip, or of films; or a list of such folders.
        dataroot_gt: folder of the large ones, or a list with one for each of `dataroot_lq`; leave it out to test films
            without ground truth.
        clip_size: how many frames the network sees at once, an odd number; 1: single frames, for networks of images.
    """

    def __init__(
        self,
        scale: int,
        dataroot_lq: Folders,
        dataroot_gt: Folders | None = None,
        clip_size: ClipSize = 5,
        files: FileOptions = DEFAULTS,
        degrade: Degrade | None = None,
    ) -> None:
        super().__init__(scale, None if dataroot_gt is None else folders(dataroot_gt), files, degrade)
        self.lq_roots = folders(dataroot_lq)
        self._prepare(clip_size)

    def _scan(self, crop: int | None) -> Scan:
        if self.gt_roots is not None and len(self.gt_roots) != len(self.lq_roots):
            raise DataError(
                f"{self.name}: {len(self.gt_roots)} folders in dataroot_gt, {len(self.lq_roots)} in dataroot_lq"
            )
        if has_films(self.lq_roots):
            scan, self._films = scan_films(
                self.name, self.gt_roots, self.lq_roots, self.scale, crop, self.files.max_pixels
            )
            return scan
        return scan_set(
            self.name, self.gt_roots, self.lq_roots, self.scale, crop, self.files.max_pixels, self.selection
        )

    def _roots(self) -> list[Path]:
        return [*(self.gt_roots or ()), *self.lq_roots]

    def _crop(self, pair: Pair, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        assert pair.gt is not None
        top, left = self._place(pair, side, rng)
        frames = [self._image(self._pairs[place].source) for place in self._seen(pair)]
        small = self._clip([frame[top : top + side, left : left + side] for frame in frames])
        high, across = (slice(start * self.scale, (start + side) * self.scale) for start in (top, left))
        return small, self._image(pair.gt)[high, across]

    def _whole(self, pair: Pair) -> tuple[np.ndarray, np.ndarray | None]:
        clip = self._clip([self._image(self._pairs[place].source) for place in self._seen(pair)])
        if pair.gt is None:
            return clip, None
        height, width = (side * self.scale for side in self._lq_shape(pair))
        return clip, np.ascontiguousarray(self._image(pair.gt)[:height, :width])

    def _lq_shape(self, pair: Pair) -> tuple[int, int]:
        header = self._headers[pair.source]
        return header.height, header.width
