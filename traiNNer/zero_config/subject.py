"""What is to be trained on: the folders, what their headers say, and what follows from it for the run."""

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Self

from traiNNer.audit.findings import KINDS
from traiNNer.audit.survey import Survey, survey
from traiNNer.data.files.meta_info import read_meta_info
from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.image_file import Header
from traiNNer.traits import ArchTraits

LEAST_CROP = 24
"""Side of the smallest training crop in LQ pixels that a network can still learn from."""
NAMES_SHOWN = 5
TILE = 512
"""Side of the tiles, in LQ pixels, that larger validation images are taken in."""


@dataclass(frozen=True)
class Folders:
    """The folders that the user named: GT and, where they exist, LQ and validation."""

    gt: Path
    lq: Path | None = None
    val_gt: Path | None = None
    val_lq: Path | None = None
    meta_info: Path | None = None
    """The list of the images that count; None takes all."""

    @property
    def is_held_out(self) -> bool:
        """Whether validation images are taken from the training folder."""
        return self.val_gt is None

    def swapped(self) -> "Folders":
        """Return the same with GT and LQ exchanged."""
        return replace(self, gt=self.lq or self.gt, lq=self.gt)


@dataclass(frozen=True)
class DatasetProfile:
    """Folders with their headers, and the scale."""

    folders: Folders
    scale: int
    scale_reason: str
    survey: Survey
    validation: Survey | None = None
    """Of the folders to validate with; None when images are held out."""

    @classmethod
    def inspect(cls, folders: Folders, scale: int | None) -> Self:
        """Read the headers and find the scale.

        Args:
            folders: where the images are.
            scale: how many times larger the output is to be; None finds it from the sizes, 2 where there is no LQ.

        Raises:
            DataError: what the images are keeps them from being trained on; the message names them.
            ConfigError: `scale` is not that of the images, or `val_lq` stands without `val_gt`.
        """
        if folders.val_lq and not folders.val_gt:
            raise ConfigError("--val-lq without --val-gt: without large images nothing can be compared.")
        names = frozenset(read_meta_info("--meta-info", folders.meta_info).names) if folders.meta_info else None
        found = survey(folders.gt, folders.lq, names=names)
        if not found.pairs and names is not None:
            raise DataError(f"{folders.meta_info} names no image that is in {folders.gt}.")
        _refuse_swapped(folders, found)
        _refuse_mixed(folders, found)
        _refuse_lone(folders, found)
        _refuse_broken(folders, found)
        validation = survey(folders.val_gt, folders.val_lq) if folders.val_gt else None
        return cls(folders, *_scale(folders, found, scale), found, validation)

    def smallest_side(self) -> int:
        """Return the shortest side of all LQ images, in LQ pixels."""
        return min(min(header.width, header.height) for header in self._lq()) // self._shrink

    def largest_validated(self) -> tuple[int, int]:
        """Return height and width, in LQ pixels, of the largest image that is, or may be, validated."""
        found = self.validation or self.survey
        has_lq = self.folders.val_lq if self.validation else self.folders.lq
        header = max(
            (found.headers[pair.source] for pair in found.pairs), key=lambda header: header.width * header.height
        )
        shrink = 1 if has_lq else self.scale
        return max(1, header.height // shrink), max(1, header.width // shrink)

    def decoded_bytes(self) -> int:
        """Return the memory that all images take once they are decoded."""
        return sum(h.width * h.height * 3 * (2 if h.bits > 8 else 1) for h in self.survey.headers.values())

    @property
    def _shrink(self) -> int:
        return 1 if self.folders.lq else self.scale

    def _lq(self) -> list[Header]:
        return [self.survey.headers[pair.source] for pair in self.survey.pairs]

    def crop(self, side: int, traits: ArchTraits) -> tuple[int, str]:
        """Return the side of the training crops in LQ pixels and why: `side`, or what network and images allow.

        Raises:
            DataError: images are too small for any sensible crop.
        """
        smallest, wanted = self.smallest_side(), traits.fitting(side)
        if smallest >= wanted:
            return wanted, "" if wanted == side else f"the network takes no crops of {side}"
        least = traits.fitting(max(LEAST_CROP, wanted // 2))
        fitting = traits.nearest(smallest)[0]
        if least <= fitting <= smallest:
            return fitting, f"the smallest image is {smallest} px; {wanted} otherwise"
        small = [pair.key for pair in self.survey.pairs if self._side(pair.source) < least]
        which = f"all {len(small)} images are" if len(small) == len(self.survey.pairs) else f"{len(small)} images are"
        names = ", ".join(small[:NAMES_SHOWN]) + (", …" if len(small) > NAMES_SHOWN else "")
        help_ = "Use larger images" if len(small) == len(self.survey.pairs) else f"Leave them out: {_fix(self.folders)}"
        raise DataError(
            f"{self.folders.gt}: {which} smaller than a training crop: {names}. Their LQ side must be {least} px at "
            f"least ({least * self.scale} px of GT); the smallest has {smallest}. {help_}."
        )

    def _side(self, lq: Path) -> int:
        header = self.survey.headers[lq]
        return min(header.width, header.height) // self._shrink


def _scale(folders: Folders, found: Survey, wanted: int | None) -> tuple[int, str]:
    if folders.lq is None:
        return (2, "the usual one; --scale changes it") if wanted is None else (wanted, "yours")
    assert found.scale is not None  # mixed ones were refused
    if wanted not in (None, found.scale):
        raise ConfigError(f"scale {wanted}, but GT is {found.scale} times as large as LQ in all pairs.")
    return found.scale, f"the sizes of all {len(found.pairs)} pairs say so"


def _refuse_swapped(folders: Folders, found: Survey) -> None:
    if found.is_swapped:
        swapped = folders.swapped()
        raise DataError(
            f"LQ and GT are swapped: the images in {folders.lq} are larger than those in {folders.gt}.\n"
            f"Swap them: trainner init --gt {quote(str(swapped.gt))} --lq {quote(str(swapped.lq))}"
        )


def _refuse_mixed(folders: Folders, found: Survey) -> None:
    if folders.lq is None or found.scale is not None or not found.scales:
        return
    known = sorted((scale, count) for scale, count in found.scales.items() if scale)
    if not known:
        first = next(finding for finding in found.findings if finding.kind == "wrong_scale")
        raise DataError(
            f"{folders.gt} and {folders.lq}: in no pair is GT a whole number of times as large as LQ, e.g. "
            f"{first.name} {first.detail}. Make LQ again from GT that is cropped to a multiple of the scale."
        )
    counts = [f"{count:,} pairs are {scale}x" for scale, count in known]
    if found.scales.get(None):
        counts.append(f"{found.scales[None]:,} fit no scale")
    raise DataError(
        f"{folders.gt} and {folders.lq} hold several scales: {', '.join(counts)}. Train one scale at a time; leave the "
        f"others out: {_fix(folders)}."
    )


def _refuse_lone(folders: Folders, found: Survey) -> None:
    if folders.is_held_out and len(found.pairs) == 1:
        raise DataError(
            f"{folders.gt} holds one image only: nothing can be held out to measure by. Add images, or name a folder "
            "of others with --val-gt."
        )


def _refuse_broken(folders: Folders, found: Survey) -> None:
    broken = [finding for finding in found.findings if KINDS[finding.kind].stops and KINDS[finding.kind].removes]
    if broken:
        rows = [f"  {KINDS[f.kind].title}: {f.name} {f.detail}".rstrip() for f in broken[:NAMES_SHOWN]]
        more = [f"  … and {len(broken) - NAMES_SHOWN} more"] if len(broken) > NAMES_SHOWN else []
        text = "\n".join([f"{folders.gt}: not every image can be used", *rows, *more])
        raise DataError(f"{text}\nLeave them out: {_fix(folders)}.")


def _fix(folders: Folders) -> str:
    lq = ["--lq", quote(str(folders.lq))] if folders.lq else []
    words = ["trainner audit --gt", quote(str(folders.gt)), *lq, "--fix list"]
    return f"`{' '.join(words)}` writes a list for --meta-info"
