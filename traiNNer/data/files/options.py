"""The options that every dataset of image files has."""

from typing import Annotated

from pydantic import Field

from traiNNer.data.files.split import Split
from traiNNer.registry import Influence, OptionGroup

# Where images are and how they are kept changes nothing: which they are, and their content, is in the fingerprint.
Folder = Annotated[str, Field(min_length=1), Influence.NEUTRAL]
Folders = Folder | Annotated[tuple[Folder, ...], Field(min_length=1)]
Side = Annotated[int, Field(gt=0)]


class FileOptions(OptionGroup):
    """Options of every dataset that reads image files."""

    lq_size: Side | None = None
    """Side of the random training crops in LQ pixels; derived from `gt_size` when left out."""
    gt_size: Side | None = None
    """The same in GT pixels: `lq_size * scale`."""
    use_hflip: bool = True
    """Mirror at random."""
    use_rot: bool = True
    """Turn by 0, 90, 180 or 270 degrees at random."""
    cache_mb: Annotated[int, Field(ge=0), Influence.NEUTRAL] = 1024
    """Memory for decoded images, in MB, shared out among the data workers."""
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


DEFAULTS = FileOptions()
