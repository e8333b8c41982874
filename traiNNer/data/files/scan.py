"""The check of a whole set before training: one table of everything that is wrong, with the first names of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from traiNNer.data.files.folders import find_gt, find_pairs
from traiNNer.data.files.header_cache import read_headers
from traiNNer.data.files.listing import told
from traiNNer.data.files.meta_info import MetaInfo, read_meta_info
from traiNNer.data.files.pairing import Pair, Pairing
from traiNNer.data.files.split import Split, held_out
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import Header, ImageError

NAMES_SHOWN = 5


@dataclass(frozen=True)
class Selection:
    """Which images of the folders belong to a set: those that a list names, and of these one part of the hold-out."""

    meta_info: Path | None = None
    split: Split = "all"


ALL = Selection()


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
    selection: Selection = ALL,
) -> Scan:
    """Pair the files of every folder and read their headers.

    Args:
        name: the set in the user's words, e.g. `datasets.train`.
        gt_roots: folders of the ground truth, one for each of `lq_roots`; None for images without.
        lq_roots: folders of the small images.
        scale: how many times larger the ground truth must be.
        crop: side of the training crop in LQ pixels; None for whole images.
        max_megapixels: larger images are refused unread.
        selection: which images are used.

    Raises:
        DataError: a folder or list is missing, or a folder holds no images, or only one where it is to be split.
    """
    scan = Scan(name)
    meta_info = _meta_info(name, selection)
    pairings = find_pairs(name, gt_roots, lq_roots, meta_info and frozenset(meta_info.names))
    _take(scan, pairings, gt_roots or lq_roots, meta_info, selection.split)
    good = _check_headers(scan, max_megapixels)
    _check_sizes(scan, good, scale, crop)
    _notice_types(scan, good)
    return scan


def scan_gt(
    name: str,
    gt_roots: Sequence[Path],
    scale: int,
    crop: int | None,
    max_megapixels: float,
    selection: Selection = ALL,
) -> Scan:
    """Find the images of every folder that LQ is to be made from, and read their headers: as `scan_set`."""
    scan = Scan(name)
    meta_info = _meta_info(name, selection)
    pairings = find_gt(name, gt_roots, meta_info and frozenset(meta_info.names))
    _take(scan, pairings, gt_roots, meta_info, selection.split)
    needed, kind = (crop * scale, f"lq_size {crop} x scale {scale}") if crop else (scale, f"scale {scale}")
    good = _check_headers(scan, max_megapixels)
    for pair in good:
        header = scan.headers[pair.source]
        if min(header.width, header.height) < needed:
            scan.add(f"GT images too small for {kind}", f"{pair.source} {header.width}x{header.height}")
    _notice_types(scan, good)
    return scan


def _meta_info(name: str, selection: Selection) -> MetaInfo | None:
    return read_meta_info(f"{name}.meta_info", selection.meta_info) if selection.meta_info else None


def _take(
    scan: Scan, pairings: Sequence[Pairing], roots: Sequence[Path], meta_info: MetaInfo | None, split: Split
) -> None:
    """Note what is missing, and take the pairs of the chosen part of the hold-out."""
    stems = []
    passed_over = sum((pairing.passed_over for pairing in pairings), Counter())
    scan.notices.extend(f"{scan.name}: {text}" for text in told(passed_over))
    for place, pairing in enumerate(pairings):
        _note_missing(scan, pairing)
        prefix = f"{place}/" if len(pairings) > 1 else ""
        scan.pairs += [Pair(prefix + pair.key, pair.lq, pair.gt) for pair in pairing.pairs]
        # The file's own name, not the key: a paired and an unpaired set of the same photos are split alike.
        files = [pair.files[0] for pair in pairing.pairs]
        stems += [file.relative_to(roots[place]).with_suffix("").as_posix() for file in files]
    if meta_info:
        found = {listed for pairing in pairings for listed in pairing.listed}
        for text in meta_info.refused:
            scan.add("names in meta_info that lead out of dataroot_gt", text)
        for listed in [listed for listed in meta_info.names if listed not in found]:
            scan.add("names in meta_info that no image in dataroot_gt has", listed)
    if split != "all":
        held = held_out(stems)
        if not held:
            scan.raise_if_broken()
            raise _cannot_split(scan)
        scan.pairs = [pair for pair, stem in zip(scan.pairs, stems, strict=True) if (stem in held) == (split == "val")]


def _cannot_split(scan: Scan) -> DataError:
    count, first = len(scan.pairs), scan.pairs[0].source
    found = f"there is only {first}" if count == 1 else f"by their names all {count} are crops of one, like {first}"
    return DataError(
        f"{scan.name}: nothing can be held out, {found}. Add images, or leave out `split` and name folders of their "
        "own for training and validation."
    )


def _note_missing(scan: Scan, pairing: Pairing) -> None:
    for path in pairing.without_lq:
        scan.add("GT images without an LQ partner", str(path))
    for path in pairing.without_gt:
        scan.add("LQ images without a GT partner", str(path))
    for *files, partner in pairing.twins:
        told = f"{' and '.join(map(str, files))}, partner {partner}"
        scan.add("names that two files have (keep one of them)", told)
    for first, second in pairing.ambiguous:
        scan.add("names that mean two files", f"{first} and {second}")


def _check_headers(scan: Scan, max_megapixels: float) -> list[Pair]:
    """Read the header of every file. Returns the pairs that have them."""
    files = dict.fromkeys(path for pair in scan.pairs for path in (pair.lq, pair.gt) if path)
    results = read_headers(list(files), max_megapixels)
    for path, result in results.items():
        if isinstance(result, ImageError):
            scan.add("unreadable images", str(result))
        else:
            scan.headers[path] = result
    return [pair for pair in scan.pairs if all(path in scan.headers for path in pair.files)]


def _check_sizes(scan: Scan, pairs: Sequence[Pair], scale: int, crop: int | None) -> None:
    ratios: Counter[float] = Counter()
    excess = 0
    wrong = []
    for pair in pairs:
        lq = scan.headers[pair.source]
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
    headers = [scan.headers[path] for path in dict.fromkeys(p for pair in pairs for p in (pair.lq, pair.gt) if p)]
    alpha = sum(header.has_alpha for header in headers)
    gray = sum(header.is_gray for header in headers)
    deep = sum(header.bits > 8 for header in headers)
    animated = sum(header.is_animated for header in headers)
    turned = sum(header.orientation > 1 for header in headers)
    profiles = Counter(header.profile for header in headers if header.profile)
    if turned:
        scan.notices.append(f"{scan.name}: {turned} images are turned as their EXIF or TIFF orientation says")
    if profiles:
        names = ", ".join(f"{name} {count}" for name, count in profiles.most_common(3))
        scan.notices.append(
            f"{scan.name}: {profiles.total()} images are converted from their color profile to sRGB ({names})"
        )
    if animated:
        scan.notices.append(f"{scan.name}: {animated} files hold several images; only the first of each is used")
    if alpha:
        scan.notices.append(f"{scan.name}: {alpha} images have transparency, which is dropped")
    if gray:
        scan.notices.append(f"{scan.name}: {gray} images are gray and become three equal channels")
    if deep and deep < len(headers):
        scan.notices.append(f"{scan.name}: {deep} of {len(headers)} images have 16 bits; all precision is kept")
