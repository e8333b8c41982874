"""What an audit can find: the kinds of findings with what to do about each, and one finding."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Args:
        title: what is wrong, for the table.
        advice: what to do about it, one sentence.
        stops: training would be refused.
        removes: `--fix list` leaves these images out.
    """

    title: str
    advice: str
    stops: bool = False
    removes: bool = True


@dataclass(frozen=True)
class Finding:
    """One problem of one image, or of the set.

    Args:
        kind: a key of `KINDS`.
        name: the key of the pair, the file, or the folder.
        detail: what was measured, in a few words.
        severity: the larger, the worse; comparable within one kind only.
        files: the images it is about, the HR one first; the first is the one that `--fix list` leaves out.
    """

    kind: str
    name: str
    detail: str = ""
    severity: float = 0.0
    files: tuple[Path, ...] = ()


# In the order of the report: what stops training first.
KINDS = {
    "swapped_folders": Kind(
        "the folders are swapped", "Give the folder of the large images to --gt.", stops=True, removes=False
    ),
    "one_image": Kind(
        "one image only", "Add images: nothing can be held out to measure on.", stops=True, removes=False
    ),
    "all_small": Kind("all images are very small", "Add larger images: no crop fits.", stops=True, removes=False),
    "unreadable": Kind("unreadable images", "Restore or delete them.", stops=True),
    "no_partner": Kind("images without a partner", "Add the missing file or delete the one left.", stops=True),
    "two_files": Kind("names that mean two files", "Delete or rename one of the two.", stops=True),
    "wrong_scale": Kind("pairs of another scale", "Make the LR image again, or leave the pair out.", stops=True),
    "wrong_pair": Kind("pairs of two different images", "Look at both: one has the wrong name."),
    "misaligned": Kind("LR and HR shifted against each other", "Make LR again, or leave the pairs out."),
    "color": Kind("LR and HR differ in color", "Make LR again from HR without a color conversion."),
    "kernel": Kind("LR made by another kernel than most", "Make these LR images again like the others."),
    "jpeg": Kind("HR was a strongly compressed JPEG", "Leave them out: a network learns the blocks."),
    "soft": Kind("HR is soft: enlarged or out of focus", "Leave them out, or shrink them to their real size."),
    "flat": Kind("flat or black images", "Leave them out: there is nothing to learn."),
    "exact": Kind("exact copies of another image", "Keep one of each."),
    "near": Kind("near copies (another encoding or size)", "Keep the best of each."),
    "overlap": Kind("also in a validation or test folder", "Leave them out of training: scores would be too good."),
    "small": Kind("very small images", "Leave them out: a training crop does not fit."),
    "alpha": Kind("images with transparency", "Nothing: transparency is dropped.", removes=False),
    "gray": Kind("gray images", "Nothing: gray becomes three equal channels.", removes=False),
    "bits": Kind("images of another bit depth", "Nothing: all precision is kept.", removes=False),
    "animated": Kind("files with several images", "Nothing: only the first is used.", removes=False),
    "turned": Kind("images with an orientation tag", "Nothing: they are turned as they are seen.", removes=False),
    "profile": Kind("images with a color profile", "Nothing: they are converted to sRGB.", removes=False),
    "passed_over": Kind("images that are left out", "Convert or move them if they belong to the set.", removes=False),
    "aspect": Kind("images of an odd shape", "Look whether they are strips or collages.", removes=False),
}


def by_kind(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of `KINDS`, within a kind the worst first."""
    order = list(KINDS)
    return tuple(sorted(findings, key=lambda finding: (order.index(finding.kind), -finding.severity)))
