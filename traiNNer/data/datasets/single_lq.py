"""Folders of images that are only to be upscaled: there is no ground truth to compare with."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from traiNNer.batch import Degrade
from traiNNer.data.datasets.image_files import ImageFiles, folders
from traiNNer.data.files.options import DEFAULTS, FileOptions, Folders
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan, scan_set
from traiNNer.errors import DataError
from traiNNer.registry import DATASETS, Influence


@DATASETS.register()
class SingleLQDataset(ImageFiles):
    """Small images in one or several folders, searched with their sub-folders, for validation and test.

    Images are written, and metrics measured that need no ground truth. `degradations` spoil the images before they are
    upscaled, in their own size.

    Args:
        dataroot_lq: folder of the images, or a list of folders.
        cache: where decoded images are kept: `auto`, `off`, or a folder. See docs/data.md.
        cache_mb: most MB of decoded images that are kept; by default what disk and memory have room for. 0 keeps none.
        max_pixels: images of more megapixels are refused unread.
    """

    def __init__(
        self,
        scale: int,
        dataroot_lq: Folders,
        cache: Annotated[str, Field(min_length=1), Influence.NEUTRAL] = DEFAULTS.cache,
        cache_mb: Annotated[int, Field(ge=0), Influence.NEUTRAL] | None = DEFAULTS.cache_mb,
        max_pixels: Annotated[float, Field(gt=0), Influence.NEUTRAL] = DEFAULTS.max_pixels,
        degrade: Degrade | None = None,
    ) -> None:
        super().__init__(scale, None, FileOptions(cache=cache, cache_mb=cache_mb, max_pixels=max_pixels), degrade)
        self._roots: list[Path] = folders(dataroot_lq)

    def _searched(self) -> list[Path]:
        return self._roots

    def _scan(self, crop: int | None) -> Scan:
        return scan_set(self.name, None, self._roots, self.scale, crop, self.files.max_pixels)

    def _crop(self, pair: Pair, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        raise DataError(f"{self.name}: there is nothing to train on without a ground truth")

    def _whole(self, pair: Pair) -> tuple[np.ndarray, np.ndarray | None]:
        return self._image(pair.source), None

    def _lq_shape(self, pair: Pair) -> tuple[int, int]:
        header = self._headers[pair.source]
        return header.height, header.width
