"""What the headers say about a set: its pairs, the scale that their sizes fit, what is wrong. Nothing is decoded."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traiNNer.audit.findings import Finding, by_kind
from traiNNer.data.files.folders import find_gt, find_pairs, require_folder
from traiNNer.data.files.header_cache import read_headers
from traiNNer.data.files.listing import told
from traiNNer.data.files.pairing import Pair, Pairing
from traiNNer.imaging.image_file import MAX_MEGAPIXELS, Header, ImageError

SMALL_LQ, SMALL_GT = 32, 64
"""Sides in pixels below which an image is very small: half the usual training crop."""
ODD_ASPECT = 4.0
"""Long side by short side from which a shape is odd: photographs and film end at 2.8."""


@dataclass(frozen=True)
class Survey:
    """What the headers of a set say.

    Args:
        gt_root: the folder of the HR images.
        lq_root: the folder of the LR images; None for HR only.
        pairs: the pairs with two readable headers; with HR only, `lq` is None.
        headers: one for each file of `pairs`.
        scales: for every pair the integer scale that its sizes fit, None where there is none; empty with HR only.
        findings: what is wrong, by kind and then the worst first.
    """

    gt_root: Path
    lq_root: Path | None
    pairs: tuple[Pair, ...]
    headers: dict[Path, Header]
    scales: Counter[int | None]
    findings: tuple[Finding, ...]

    @property
    def scale(self) -> int | None:
        """The scale that all pairs share; None when they do not, or with HR only."""
        return next(iter(self.scales)) if len(self.scales) == 1 else None

    @property
    def is_swapped(self) -> bool:
        """Whether in most pairs the image in the LR folder is the larger one."""
        return 2 * sum(_is_swapped(self.headers, pair) for pair in self.pairs) > len(self.pairs)


def survey(
    gt_root: Path,
    lq_root: Path | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    names: Collection[str] | None = None,
) -> Survey:
    """Read the headers of a set, in parallel and remembered from the last time.

    Args:
        gt_root: the folder of the HR images.
        lq_root: the folder of the LR images; None for HR only.
        max_megapixels: larger images count as unreadable.
        names: the only GT files that count, as a list names them; None: all.

    Raises:
        DataError: a folder is missing, cannot be read or holds no images.
    """
    require_folder("The folder of the HR images", gt_root)
    if lq_root:
        require_folder("The folder of the LR images", lq_root)
        pairing = find_pairs("The set", [gt_root], [lq_root], names)[0]
    else:
        pairing = find_gt("The set", [gt_root], names)[0]
    results = read_headers([path for pair in pairing.pairs for path in pair.files], max_megapixels)
    headers = {path: result for path, result in results.items() if isinstance(result, Header)}
    pairs = tuple(pair for pair in pairing.pairs if all(path in headers for path in pair.files))
    headers = {path: headers[path] for pair in pairs for path in pair.files}
    scales = Counter(scale_of(headers[pair.lq], headers[pair.gt]) for pair in pairs if pair.lq and pair.gt)
    found = Survey(gt_root, lq_root, pairs, headers, scales, ())
    findings = [
        *_unusable(pairing, [result for result in results.values() if isinstance(result, ImageError)]),
        *_set_findings(found),
        *([] if found.is_swapped else _wrong_scales(found)),
        *(finding for pair in pairs for finding in _shapes(headers, pair)),
        *_types(headers),
        *(Finding("passed_over", str(gt_root), text) for text in told(pairing.passed_over)),
    ]
    return Survey(gt_root, lq_root, pairs, headers, scales, by_kind(findings))


def scale_of(lq: Header, gt: Header) -> int | None:
    """Return the integer scale that two sizes fit, None when none does. GT may be up to scale - 1 px larger."""
    scale = min(gt.width // lq.width, gt.height // lq.height)
    over = (gt.width - lq.width * scale, gt.height - lq.height * scale)
    return scale if scale and max(over) < scale else None


def _is_swapped(headers: Mapping[Path, Header], pair: Pair) -> bool:
    if not (pair.lq and pair.gt):
        return False
    lq, gt = headers[pair.lq], headers[pair.gt]
    return lq.width * lq.height > gt.width * gt.height


def _unusable(pairing: Pairing, errors: Sequence[ImageError]) -> Iterator[Finding]:
    for error in errors:
        yield Finding("unreadable", error.path, error.reason, files=(Path(error.path),))
    for path in pairing.without_lq:
        yield Finding("no_partner", str(path), "no LR image", files=(path,))
    for path in pairing.without_gt:
        yield Finding("no_partner", str(path), "no HR image", files=(path,))
    for first, second in pairing.ambiguous:
        yield Finding("two_files", str(second), f"means the same as {first}", files=(second, first))


def _set_findings(found: Survey) -> Iterator[Finding]:
    if found.is_swapped:
        count = sum(_is_swapped(found.headers, pair) for pair in found.pairs)
        yield Finding("swapped_folders", str(found.gt_root), f"in {count} of {len(found.pairs)} pairs LR is the larger")
    if len(found.pairs) == 1:
        yield Finding("one_image", str(found.gt_root), found.pairs[0].key)
    if len(found.pairs) > 1 and all(_is_small(found.headers, pair) for pair in found.pairs):
        yield Finding("all_small", str(found.gt_root), f"{len(found.pairs)} of them")


def _wrong_scales(found: Survey) -> Iterator[Finding]:
    """Yield the pairs that do not fit the scale of most; of the pairs that fit none, all."""
    known = [(count, scale) for scale, count in found.scales.items() if scale]
    usual = max(known)[1] if known else None
    for pair in found.pairs:
        if not (pair.lq and pair.gt):
            continue
        lq, gt = found.headers[pair.lq], found.headers[pair.gt]
        scale = scale_of(lq, gt)
        if scale is None or scale != usual:
            looks = f"{scale}x, most are {usual}x" if scale else f"{gt.width / lq.width:.3g}x{_rounding(lq, gt)}"
            detail = f"{gt.width}x{gt.height} vs {lq.width}x{lq.height}: {looks}"
            severity = abs(gt.width / lq.width - (usual or 0))
            yield Finding("wrong_scale", pair.key, detail, severity, pair.files)


def _rounding(lq: Header, gt: Header) -> str:
    """Return a hint where LR was rounded up: HR was not cropped to a multiple of the scale before it was shrunk."""
    scale = round(gt.width / lq.width)
    up = (lq.width * scale - gt.width, lq.height * scale - gt.height)
    return f" (LR rounded up: crop HR to a multiple of {scale} first)" if 0 < max(up) < scale else ""


def _is_small(headers: Mapping[Path, Header], pair: Pair) -> bool:
    source = headers[pair.source]
    return min(source.width, source.height) < (SMALL_LQ if pair.lq else SMALL_GT)


def _shapes(headers: Mapping[Path, Header], pair: Pair) -> Iterator[Finding]:
    source, files = headers[pair.source], pair.files
    if _is_small(headers, pair):
        which = "LR " if pair.lq else ""
        yield Finding(
            "small", pair.key, f"{which}{source.width}x{source.height}", -min(source.width, source.height), files
        )
    aspect = max(source.width, source.height) / min(source.width, source.height)
    if aspect > ODD_ASPECT:
        yield Finding("aspect", pair.key, f"{source.width}x{source.height}, {aspect:.1f} : 1", aspect, files)


def _types(headers: Mapping[Path, Header]) -> Iterator[Finding]:
    usual = Counter(header.bits > 8 for header in headers.values()).most_common(1)
    for path, header in headers.items():
        if header.has_alpha:
            yield Finding("alpha", str(path), files=(path,))
        if header.is_gray:
            yield Finding("gray", str(path), files=(path,))
        if (header.bits > 8) != usual[0][0]:
            yield Finding("bits", str(path), f"{header.bits} bits", header.bits, (path,))
        if header.is_animated:
            yield Finding("animated", str(path), files=(path,))
        if header.orientation > 1:
            yield Finding("turned", str(path), files=(path,))
        if header.profile:
            yield Finding("profile", str(path), header.profile, files=(path,))
