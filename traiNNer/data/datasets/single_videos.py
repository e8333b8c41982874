"""Films alone, or folders of their frames: the small frames are made from them while training."""

import numpy as np

from traiNNer.batch import Degrade
from traiNNer.data.datasets.clips import ClipFiles, ClipSize
from traiNNer.data.datasets.image_files import folders
from traiNNer.data.files.films import has_films, scan_films
from traiNNer.data.files.options import DEFAULTS, FileOptions, Folders
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan, scan_gt
from traiNNer.registry import DATASETS
from traiNNer.utils.resize import imresize, imresize_crop


@DATASETS.register()
class SingleVideoDataset(ClipFiles):
    """Frames of sharp films with those around them; no small films are needed.

    LQ is made of the frames, shrunk as MATLAB's `imresize` does it, or with `degradations` as they say: all frames of a
    clip with the same parameters, and noise that differs from frame to frame. Which frames belong together is as for
    `pairedvideodataset`.

    Args:
        dataroot_gt: folder of the frames, with one folder for each clip, or of films; or a list of such folders.
        clip_size: how many frames the network sees at once, an odd number; 1: single frames, for networks of images.
    """

    is_made_of_gt = True

    def __init__(
        self,
        scale: int,
        dataroot_gt: Folders,
        clip_size: ClipSize = 5,
        files: FileOptions = DEFAULTS,
        degrade: Degrade | None = None,
    ) -> None:
        self._folders = folders(dataroot_gt)
        super().__init__(scale, self._folders, files, degrade)
        self._prepare(clip_size)

    def _scan(self, crop: int | None) -> Scan:
        if has_films(self._folders):
            scan, self._films = scan_films(self.name, self._folders, None, self.scale, crop, self.files.max_pixels)
            return scan
        return scan_gt(self.name, self._folders, self.scale, crop, self.files.max_pixels, self.selection)

    def _crop(self, pair: Pair, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        scale, (top, left) = self.scale, self._place(pair, side, rng)
        frames = self._frames(pair)
        small = self._clip([imresize_crop(frame, scale, top, left, side, side) for frame in frames])
        high, across = (slice(start * scale, (start + side) * scale) for start in (top, left))
        return small, self._made([frame[high, across] for frame in frames])

    def _whole(self, pair: Pair) -> tuple[np.ndarray, np.ndarray | None]:
        frames = self._frames(pair)
        return self._clip([imresize(frame, size=self._lq_shape(pair)) for frame in frames]), self._made(frames)

    def _frames(self, pair: Pair) -> list[np.ndarray]:
        """Return the frames that are seen, cropped to a multiple of the scale."""
        height, width = (side * self.scale for side in self._lq_shape(pair))
        return [self._image(self._pairs[place].source)[:height, :width] for place in self._seen(pair)]

    def _made(self, frames: list[np.ndarray]) -> np.ndarray:
        """Return what is compared: the middle frame, or all of them where LQ is yet to be made by degradations."""
        return self._clip(frames) if self.degrade else np.ascontiguousarray(frames[len(frames) // 2])

    def _lq_shape(self, pair: Pair) -> tuple[int, int]:
        header = self._headers[pair.source]
        return header.height // self.scale, header.width // self.scale
