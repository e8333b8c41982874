"""The look at a whole set before training: one table of everything that is wrong, with the first names of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from traiNNer.data.headers import read_headers
from traiNNer.data.pairing import Pair, Pairing, pair_folders
from traiNNer.errors import DataError
from traiNNer.utils.files import is_folder, natural_key, nearest_existing
from traiNNer.utils.images import SUFFIXES, Header, ImageError

NAMES_SHOWN = 5
FOLDERS_SHOWN = 8


@dataclass
class Scan:
    """The usable pairs with their headers, notices for the log, and problems: kind -> texts."""

    name: str
    pairs: list[Pair] = field(default_factory=list)
    headers: dict[Path, Header] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, text: str) -> None:
        """Note a problem under its kind."""
        self.problems.setdefault(kind, []).append(text)

    def raise_if_broken(self) -> None:
        """Raise `DataError` with the table of problems, if there are any."""
        if not self.problems:
            return
        rows = [f"{self.name}: this set cannot be used"]
        for kind, texts in self.problems.items():
            more = f" … and {len(texts) - NAMES_SHOWN} more" if len(texts) > NAMES_SHOWN else ""
            rows.append(f"  {len(texts):>5} {kind}: {'; '.join(texts[:NAMES_SHOWN])}{more}")
        raise DataError("\n".join(rows))


def scan_set(
    name: str,
    gt_roots: Sequence[Path] | None,
    lq_roots: Sequence[Path],
    scale: int,
    crop: int | None,
    max_megapixels: float,
) -> Scan:
    """Pair the files of every folder and read their headers.

    Args:
        name: the set in the person's words, e.g. `datasets.train`.
        gt_roots: folders of the ground truth, one for each of `lq_roots`; None for images without.
        lq_roots: folders of the small images.
        scale: how many times larger the ground truth must be.
        crop: side of the training crop in LQ pixels; None for whole images.
        max_megapixels: larger images are refused unread.

    Raises:
        DataError: a folder is missing or holds no images.
    """
    scan = Scan(name)
    pairings = []
    for place, lq_root in enumerate(lq_roots):
        gt_root = gt_roots[place] if gt_roots else None
        if gt_root:
            require_folder(f"{name}.dataroot_gt", gt_root)
        require_folder(f"{name}.dataroot_lq", lq_root)
        pairings.append(pair_or_refuse(name, gt_root, lq_root))
    several = len(pairings) > 1
    for place, pairing in enumerate(pairings):
        _note_missing(scan, pairing)
        prefix = f"{place}/" if several else ""
        scan.pairs += [Pair(prefix + pair.key, pair.lq, pair.gt) for pair in pairing.pairs]
    _check_headers(scan, scale, crop, max_megapixels)
    return scan


def pair_or_refuse(name: str, gt_root: Path | None, lq_root: Path) -> Pairing:
    """Pair two folders; `name` is the set in the person's words.

    Raises:
        DataError: a folder cannot be read or holds no images.
    """
    try:
        pairing = pair_folders(gt_root, lq_root)
    except OSError as error:
        raise DataError(f"{name}: cannot read the folder {error.filename} ({error.strerror}).") from None
    if not pairing.pairs:
        for root, others in ((gt_root, pairing.without_lq), (lq_root, pairing.without_gt)):
            if root and not others:
                raise DataError(f"{name} has no images in {root}. Allowed: {', '.join(SUFFIXES)}.")
    return pairing


def require_folder(name: str, root: Path) -> None:
    """Raise `DataError` with what is there instead, if `root` is no folder; `name` says what it is for."""
    if is_folder(root):
        return
    near = nearest_existing(root)
    try:
        inside = sorted((path.name for path in near.iterdir() if is_folder(path)), key=natural_key)
    except OSError:
        inside = []
    shown = ", ".join(inside[:FOLDERS_SHOWN]) + (", …" if len(inside) > FOLDERS_SHOWN else "")
    raise DataError(
        f"{name}: no such folder {root}. The nearest that exists is {near.absolute()}"
        + (f", with the folders {shown}." if inside else ", which has no folders in it.")
    )


def _note_missing(scan: Scan, pairing: Pairing) -> None:
    for path in pairing.without_lq:
        scan.add("GT images without an LQ partner", str(path))
    for path in pairing.without_gt:
        scan.add("LQ images without a GT partner", str(path))
    for first, second in pairing.ambiguous:
        scan.add("names that mean two files", f"{first} and {second}")


def _check_headers(scan: Scan, scale: int, crop: int | None, max_megapixels: float) -> None:
    files = [path for pair in scan.pairs for path in (pair.lq, pair.gt) if path]
    results = read_headers(files, max_megapixels)
    for path, result in results.items():
        if isinstance(result, ImageError):
            scan.add("unreadable images", str(result))
        else:
            scan.headers[path] = result
    good = [pair for pair in scan.pairs if pair.lq in scan.headers and (not pair.gt or pair.gt in scan.headers)]
    _check_sizes(scan, good, scale, crop)
    _notice_types(scan, good)


def _check_sizes(scan: Scan, pairs: Sequence[Pair], scale: int, crop: int | None) -> None:
    ratios: Counter[float] = Counter()
    excess = 0
    wrong = []
    for pair in pairs:
        lq = scan.headers[pair.lq]
        if crop and min(lq.width, lq.height) < crop:
            scan.add(f"LQ images too small for lq_size {crop}", f"{pair.lq} {lq.width}x{lq.height}")
        if not pair.gt:
            continue
        gt = scan.headers[pair.gt]
        over = (gt.width - lq.width * scale, gt.height - lq.height * scale)
        if min(over) < 0 or max(over) >= scale:
            wrong.append(f"{pair.gt} {gt.width}x{gt.height} vs {pair.lq} {lq.width}x{lq.height}")
            ratios[gt.width / lq.width] += 1
        elif max(over):
            excess += 1
    if wrong:
        scan.problems[f"pairs do not fit scale {scale}{_ratio_hint(ratios, scale)}"] = wrong
    if excess:
        scan.notices.append(
            f"{scan.name}: {excess} GT images are up to {scale - 1} px larger than LQ x {scale}; cropped"
        )


def _ratio_hint(ratios: Counter[float], scale: int) -> str:
    swapped = sum(count for ratio, count in ratios.items() if ratio < 1)
    if 2 * swapped > ratios.total():
        return f" (in {swapped} of them LQ is the larger one: are dataroot_lq and dataroot_gt swapped?)"
    rounded: Counter[int] = Counter()
    for ratio, count in ratios.items():
        rounded[max(1, round(ratio))] += count
    likely, count = rounded.most_common(1)[0]
    return "" if likely == scale else f" ({count} of them look like {likely}x: is `scale` right?)"


def _notice_types(scan: Scan, pairs: Sequence[Pair]) -> None:
    headers = [scan.headers[path] for pair in pairs for path in (pair.lq, pair.gt) if path]
    alpha = sum(header.has_alpha for header in headers)
    grey = sum(header.is_grey for header in headers)
    deep = sum(header.bits > 8 for header in headers)
    animated = sum(header.is_animated for header in headers)
    if animated:
        scan.notices.append(f"{scan.name}: {animated} files hold several images; only the first of each is used")
    if alpha:
        scan.notices.append(f"{scan.name}: {alpha} images have transparency, which is dropped")
    if grey:
        scan.notices.append(f"{scan.name}: {grey} images are grey and become three equal channels")
    if deep and deep < len(headers):
        scan.notices.append(f"{scan.name}: {deep} of {len(headers)} images have 16 bits; all precision is kept")
