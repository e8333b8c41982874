"""Which LQ file belongs to which GT file: by the path below its root, without the ending and a common suffix."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from traiNNer.data.files.listing import list_images, stem_of
from traiNNer.data.files.meta_info import name_in_list
from traiNNer.imaging.image_file import SUFFIXES

# What people append to a name: 0001x2, 0001_x2, 0001x4d, 0001-lr, 0001_LRBI, img_001_SRF_2_HR …
SUFFIX = re.compile(r"^[ _.-]?(?:x\d+[a-z]?|lr|lq|hr|gt|bicubic|[a-z]{1,8}x\d+|lr[a-z]{1,8})$", re.IGNORECASE)
SAMPLED = 200


@dataclass(frozen=True)
class Pair:
    """One image: its key (relative stem of the LQ or GT file) and its files.

    `gt` is None without ground truth, `lq` where LQ is made from GT; one of them is there.
    """

    key: str
    lq: Path | None
    gt: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are there, GT first."""
        return tuple(path for path in (self.gt, self.lq) if path)

    @property
    def source(self) -> Path:
        """The file that LQ comes from: LQ itself, or the GT that it is made of."""
        return self.files[-1]


@dataclass
class Pairing:
    """The pairs in natural order, the files without a partner, and which names of a list were found.

    `ambiguous` are files whose names mean the same; `twins` are files of one folder that differ in the ending alone,
    and last the one file on the other side that both would pair with.
    """

    pairs: list[Pair] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    without_lq: list[Path] = field(default_factory=list)
    without_gt: list[Path] = field(default_factory=list)
    ambiguous: list[tuple[Path, Path]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    twins: list[tuple[Path, ...]] = field(default_factory=list)


def pair_folders(gt_root: Path | None, lq_root: Path, names: Collection[str] | None = None) -> Pairing:
    """Pair the files of two folders. Without a GT folder every LQ file is an image without a partner.

    Args:
        gt_root: folder of the large images, or None.
        lq_root: folder of the small ones.
        names: the only GT files that count, as a list names them; None: all.

    Raises:
        OSError: a folder below cannot be read.
    """
    small = list_images(lq_root)
    lq = small.files
    if gt_root is None:
        return Pairing([Pair(key, path, None) for key, path in lq.items()], passed_over=small.passed_over)
    large = list_images(gt_root)
    gt, listed = _listed(large.files, gt_root, names)
    suffix_gt, suffix_lq = infer_suffixes(list(gt), list(lq))
    gt_by_base, ambiguous = _by_base(gt, suffix_gt)
    if names is not None:
        lq = {key: path for key, path in lq.items() if key.removesuffix(suffix_lq) in gt_by_base}
    lq_by_base, more = _by_base(lq, suffix_lq)
    twins = _twins(gt_by_base, lq_by_base)
    told = {path for group in twins for path in group}
    # A file is told once: odd names such as a.png.png may be in a group of either side.
    twins += [group for group in _twins(lq_by_base, gt_by_base) if told.isdisjoint(group)]
    told |= {path for group in twins for path in group}
    without_gt = [path for base, path in lq_by_base.items() if base not in gt_by_base and path not in told]
    passed_over = large.passed_over + small.passed_over
    ambiguous += more
    pairing = Pairing(listed=listed, without_gt=without_gt, ambiguous=ambiguous, twins=twins, passed_over=passed_over)
    for base, path in gt_by_base.items():
        if base in lq_by_base:
            pairing.pairs.append(Pair(base, lq_by_base[base], path))
        elif path not in told:
            pairing.without_lq.append(path)
    return pairing


def _twins(files: dict[str, Path], others: dict[str, Path]) -> list[tuple[Path, ...]]:
    """Return the files that differ in the ending alone, where the other side has one without it, which comes last."""
    groups: dict[str, list[Path]] = {}
    for base, path in files.items():
        stem = stem_of(base) if base.lower().endswith(SUFFIXES) else ""
        if stem in others and stem not in files and base not in others:
            groups.setdefault(stem, []).append(path)
    return [(*group, others[stem]) for stem, group in groups.items() if len(group) > 1]


def gt_alone(gt_root: Path, names: Collection[str] | None = None) -> Pairing:
    """Take every file of a GT folder, or those that a list names, without an LQ file. Raises `OSError`."""
    found = list_images(gt_root)
    gt, listed = _listed(found.files, gt_root, names)
    return Pairing([Pair(key, None, path) for key, path in gt.items()], listed, passed_over=found.passed_over)


def _listed(files: dict[str, Path], root: Path, names: Collection[str] | None) -> tuple[dict[str, Path], set[str]]:
    if names is None:
        return files, set()
    found = {key: name for key, path in files.items() if (name := name_in_list(path, root)) in names}
    return {key: files[key] for key in found}, set(found.values())


def _by_base(files: dict[str, Path], suffix: str) -> tuple[dict[str, Path], list[tuple[Path, Path]]]:
    found: dict[str, Path] = {}
    twice = []
    for key, path in files.items():
        base = key.removesuffix(suffix) if suffix else key
        if base in found:
            twice.append((found[base], path))
        found.setdefault(base, path)
    return found, twice


def infer_suffixes(gt: list[str], lq: list[str]) -> tuple[str, str]:
    """Return the suffixes of the GT and LQ keys under which most of them pair; both empty when equal names do best."""
    sides = set(gt), set(lq)
    if sides[0] == sides[1]:
        return "", ""

    def matched(suffixes: tuple[str, str]) -> int:
        bases = [
            {key.removesuffix(suffix) for key in keys if key.endswith(suffix)}
            for keys, suffix in zip(sides, suffixes, strict=True)
        ]
        return len(bases[0] & bases[1])

    plain = ("", "")
    # Among equals the longest: `_LR` and `_HR` rather than `LR` and `HR`, which would leave a `_` in the key.
    best = max([plain, *_candidates(gt, lq)], key=lambda suffixes: (matched(suffixes), len("".join(suffixes))))
    return best if matched(best) > matched(plain) else plain


def _candidates(gt: list[str], lq: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of suffixes under which the first few LQ names have a partner, the most frequent first."""
    known = set(gt)
    endings = {"", *(ending for key in gt[:SAMPLED] for ending in _endings(key))}
    found: Counter[tuple[str, str]] = Counter()
    for key in lq[:SAMPLED]:
        for ending in ("", *_endings(key)):
            base = key.removesuffix(ending)
            found.update((other, ending) for other in endings if base + other in known)
    return sorted(found, key=lambda suffixes: (found[suffixes], len("".join(suffixes))), reverse=True)[:5]


def _endings(key: str) -> list[str]:
    name = key.rsplit("/", 1)[-1]
    return [name[-length:] for length in range(1, min(len(name), 14)) if SUFFIX.match(name[-length:])]
