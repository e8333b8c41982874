"""The options that every dataset of image files has."""

import sys
from typing import Annotated

from pydantic import Field

from traiNNer.data.files.split import Split
from traiNNer.registry import Influence, OptionGroup, StrictOptions

# Where images are and how they are kept changes nothing: which they are, and their content, is in the fingerprint.
Folder = Annotated[str, Field(min_length=1), Influence.NEUTRAL]
Folders = Folder | Annotated[tuple[Folder, ...], Field(min_length=1)]
Side = Annotated[int, Field(gt=0)]
THE_END = sys.maxsize
"""An iteration at which nothing changes any more."""


class CropStep(StrictOptions):
    """A size of the training crops in the first part of a run."""

    lq_size: Side
    """Side of these crops in LQ pixels."""
    until: Annotated[int, Field(gt=0)]
    """The last iteration that is trained with them."""


class FileOptions(OptionGroup):
    """Options of every dataset that reads image files."""

    lq_size: Side | None = None
    """Side of the random training crops in LQ pixels; derived from `gt_size` when left out."""
    gt_size: Side | None = None
    """The same in GT pixels: `lq_size * scale`."""
    crop_growth: tuple[CropStep, ...] = ()
    """Smaller crops, which are quicker, before the full size: `[{lq_size: 16, until: 400}, {lq_size: 24, until: 700}]`
    trains 400 iterations with crops of 16 pixels, then 300 with 24."""
    candidates: Annotated[int, Field(ge=1, le=16)] = 1
    """Crops that are drawn for each one that is trained with: the one which bicubic upscaling is worst at."""
    candidates_until: Annotated[int, Field(gt=0)] | None = None
    """The last iteration at which `candidates` are compared; crops of later ones are uniform. By default all are."""
    use_hflip: bool = True
    """Mirror at random."""
    use_rot: bool = True
    """Turn by 0, 90, 180 or 270 degrees at random."""
    cache: Annotated[str, Field(min_length=1), Influence.NEUTRAL] = "auto"
    """Where decoded images are kept for later epochs and runs: `auto` (in the cache folder of the user, where that
    pays), `off`, or a folder. See docs/data.md."""
    cache_mb: Annotated[int, Field(ge=0), Influence.NEUTRAL] | None = None
    """Most MB of decoded images that are kept; by default what disk and memory have room for. 0 keeps none."""
    max_pixels: Annotated[float, Field(gt=0), Influence.NEUTRAL] = 200
    """Images of more megapixels are refused unread."""
    strict: Annotated[bool, Influence.NEUTRAL] = False
    """Stop at the first damaged image instead of replacing it."""
    split: Split = "all"
    """`val`: only the images that a hash of their names holds out: 1 %, from 8 to 100 (of fewer than 32 a quarter);
    `train`: all others; crops of one image (`0001_s001`, `photo_tile_2_5`) stay together."""
    meta_info: Folder | None = None
    """A text file with one path below `dataroot_gt` per line: only these images are used."""

    def crop_size(self, scale: int) -> int | None:
        """Return the side of the training crops in LQ pixels; None where neither option gives it."""
        return self.lq_size or (self.gt_size // scale if self.gt_size else None)

    def crop_size_at(self, scale: int, iteration: int) -> int | None:
        """Return the same at an iteration, counted from 0."""
        sides = (step.lq_size for step in self.crop_growth if iteration < step.until)
        return next(sides, self.crop_size(scale))

    def candidates_at(self, iteration: int) -> int:
        """Return how many crops are compared at an iteration, counted from 0."""
        return self.candidates if iteration < (self.candidates_until or THE_END) else 1


DEFAULTS = FileOptions()
