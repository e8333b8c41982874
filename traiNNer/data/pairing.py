"""Which LQ file belongs to which GT file: by the path below its root, without the ending and a common suffix."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from traiNNer.utils.files import natural_key
from traiNNer.utils.images import SUFFIXES

# What people append to the small image: 0001x2, 0001_x2, 0001-lr, 0001_LRBI …
SUFFIX = re.compile(r"^[ _.-]?(?:x\d+|lr|lq|hr|gt|bicubic|[a-z]{1,8}x\d+|lr[a-z]{1,8})$", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """One image: its key (relative stem of the LQ or GT file) and its files; `gt` is None without ground truth."""

    key: str
    lq: Path
    gt: Path | None


@dataclass
class Pairing:
    """The pairs in natural order, and the files without a partner."""

    pairs: list[Pair] = field(default_factory=list)
    without_lq: list[Path] = field(default_factory=list)
    without_gt: list[Path] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)


def list_images(root: Path) -> dict[str, Path]:
    """Return every image file below a folder by its relative stem, in natural order.

    Two files that differ only in the ending keep it in their key, so that none is lost.
    """
    files = [path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    files.sort(key=lambda path: natural_key(path.relative_to(root).as_posix()))
    stems = Counter(_stem(path, root) for path in files)
    return {
        _stem(path, root) if stems[_stem(path, root)] == 1 else path.relative_to(root).as_posix(): path
        for path in files
    }


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def pair_folders(gt_root: Path | None, lq_root: Path) -> Pairing:
    """Pair the files of two folders. Without a GT folder every LQ file is an image of its own."""
    lq = list_images(lq_root)
    if gt_root is None:
        return Pairing([Pair(key, path, None) for key, path in lq.items()])
    gt = list_images(gt_root)
    suffix_gt, suffix_lq = infer_suffixes(list(gt), list(lq))
    gt_by_base, ambiguous = _by_base(gt, suffix_gt)
    lq_by_base, more = _by_base(lq, suffix_lq)
    pairing = Pairing(ambiguous=ambiguous + more)
    for base, path in gt_by_base.items():
        if base in lq_by_base:
            pairing.pairs.append(Pair(base, lq_by_base[base], path))
        else:
            pairing.without_lq.append(path)
    pairing.without_gt = [path for base, path in lq_by_base.items() if base not in gt_by_base]
    return pairing


def _by_base(files: dict[str, Path], suffix: str) -> tuple[dict[str, Path], list[str]]:
    found: dict[str, Path] = {}
    twice = []
    for key, path in files.items():
        base = key.removesuffix(suffix) if suffix else key
        if base in found:
            twice.append(f"{found[base]} and {path}")
        found.setdefault(base, path)
    return found, twice


def infer_suffixes(gt: list[str], lq: list[str]) -> tuple[str, str]:
    """Return the suffixes of the GT and LQ keys under which most of them pair; both empty when equal names do best."""
    best, most = ("", ""), len(set(gt) & set(lq))
    for longer, shorter, order in ((lq, gt, 1), (gt, lq, -1)):
        for suffix in _candidates(longer, shorter):
            matched = len({key.removesuffix(suffix) for key in longer if key.endswith(suffix)} & set(shorter))
            if matched > most:
                best, most = (("", suffix) if order == 1 else (suffix, "")), matched
    return best


def _candidates(longer: list[str], shorter: list[str]) -> list[str]:
    """Return the endings by which the first few names differ from names of the other side."""
    others = set(shorter)
    found: Counter[str] = Counter()
    for key in longer[:200]:
        name = key.rsplit("/", 1)[-1]
        for length in range(1, min(len(name), 14)):
            if key[:-length] in others and SUFFIX.match(key[-length:]):
                found[key[-length:]] += 1
    return [suffix for suffix, _ in found.most_common(5)]
