"""The audit that decodes: every image is measured, then judged, by fixed limits and by what is usual in its set.

| verdict            | limit                                                                                          |
|--------------------|------------------------------------------------------------------------------------------------|
| two images         | correlation below 0.7, or three quarters of the set's median where that is less                |
| shifted            | 0.25 HR pixels or more, if undoing the shift takes a tenth or more off the difference          |
| color             | a channel brighter or darker by 2 levels of 255 or more, or contrast different by 5 %          |
| another kernel     | not the set's most frequent one; of shifted or recolored pairs only if one fits exactly        |
| compressed         | traces of a JPEG quality below 80                                                              |
| soft               | fine detail below half of the coarse detail, in the sharpest tenth of the image                |
| flat               | standard deviation of luma below 2 levels                                                      |
| copies             | equal pixels; or hashes up to 10 bits apart, correlation 0.985 and 0.93 of the detail          |
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from traiNNer.audit.duplicates import LEAST_SPREAD, exact_copies, near_copies
from traiNNer.audit.findings import Finding, by_kind
from traiNNer.audit.kernels import UNKNOWN
from traiNNer.audit.measures import Measures, PairMeasures, measure
from traiNNer.audit.survey import Survey, scale_of
from traiNNer.data.files.pairing import Pair
from traiNNer.imaging.image_file import ImageError

CORRELATION, CORRELATION_SHARE = 0.7, 0.75
SHIFT_PX, LEFT_OVER = 0.25, 0.9
COLOUR_LEVELS, CONTRAST_SHARE = 2.0, 0.05
JPEG_QUALITY = 80
DETAIL = 0.5
SAMPLES_EACH = 3
Tick = Callable[[], None]


@dataclass(frozen=True)
class Deep:
    """What decoding shows about a set.

    Args:
        findings: by kind, the worst first.
        kernels: how many LR images each kernel made; None stands for those too smooth to tell.
        seconds: how long it took.
    """

    findings: tuple[Finding, ...]
    kernels: Counter[str | None]
    seconds: float


def workers() -> int:
    """Return how many images are measured at once: one for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def estimate_seconds(found: Survey, others: Sequence[Path] = ()) -> float:
    """Return how long `look_deep` will take, by measuring a few images of the set the way it does.

    Args:
        found: the set.
        others: the images of other folders to compare with.
    """
    count = min(len(found.pairs), SAMPLES_EACH * workers())
    if not count:
        return 0.0
    sample = [found.pairs[place * len(found.pairs) // count] for place in range(count)]
    _measure_all(sample[:1], found)  # filters and tables are made once
    started = time.perf_counter()
    _measure_all(sample, found)
    each = (time.perf_counter() - started) / count
    return each * (len(found.pairs) + len(others))


def look_deep(found: Survey, others: Mapping[Path, Sequence[Path]] | None = None, tick: Tick = lambda: None) -> Deep:
    """Measure and judge every pair of a set.

    Args:
        found: the set.
        others: validation and test folders with the images in them, which must not be in the set.
        tick: called after each image.
    """
    started = time.perf_counter()
    results = _measure_all(found.pairs, found, tick)
    findings = [_unreadable(error) for error in results.values() if isinstance(error, ImageError)]
    good = {pair: result for pair, result in results.items() if isinstance(result, Measures)}
    findings += [finding for pair, result in good.items() for finding in _of_one(pair, result)]
    pairs = {pair: result.pair for pair, result in good.items() if result.pair}
    fitting = {}
    limit = _correlation_limit(pairs.values())
    for pair, measures in pairs.items():
        wrong = list(_misfits(pair, measures, limit))
        findings += wrong
        kinds = {finding.kind for finding in wrong}
        # A kernel may shift by itself, as OpenCV's nearest does; then LR comes out exactly all the same.
        if not kinds or ("wrong_pair" not in kinds and measures.kernel.name != UNKNOWN):
            fitting[pair] = measures
    kernels = Counter(measures.kernel.name for measures in fitting.values())
    findings += _other_kernels(fitting, kernels)
    findings += _copies(good)
    for folder, images in (others or {}).items():
        findings += _overlaps(good, folder, images, tick)
    return Deep(by_kind(findings), kernels, time.perf_counter() - started)


def _measure_all(
    pairs: Sequence[Pair], found: Survey | None, tick: Tick = lambda: None
) -> dict[Pair, Measures | ImageError]:
    def one(pair: Pair) -> Measures | ImageError:
        scale = scale_of(found.headers[pair.lq], found.headers[pair.gt]) if found and pair.lq and pair.gt else None
        try:
            return measure(pair, scale)
        except ImageError as error:
            return error
        finally:
            tick()

    with ThreadPoolExecutor(workers()) as pool:
        return dict(zip(pairs, pool.map(one, pairs), strict=True))


def _unreadable(error: ImageError) -> Finding:
    return Finding("unreadable", error.path, error.reason, files=(Path(error.path),))


def _of_one(pair: Pair, measures: Measures) -> Iterator[Finding]:
    files = pair.files
    if measures.spread < LEAST_SPREAD:
        look = "black" if measures.mean < 2 * LEAST_SPREAD else "flat"
        yield Finding("flat", pair.key, f"{look}, deviation {measures.spread:.1f} of 255", -measures.spread, files)
        return
    quality, detail = measures.jpeg_quality, measures.detail
    if quality is not None and quality < JPEG_QUALITY:
        yield Finding("jpeg", pair.key, f"quality about {quality:.0f}", -quality, files)
    if detail is not None and detail < DETAIL:
        yield Finding("soft", pair.key, f"detail {detail:.2f}, sharp images have about 1", -detail, files)


def _correlation_limit(pairs: Iterable[PairMeasures]) -> float:
    known = [measures.alignment.correlation for measures in pairs if measures.alignment]
    # A set of noisy LR has low correlations throughout; below half of the usual limit no pair is one.
    usual = max(median(known), CORRELATION / 2) if known else 1.0
    return min(CORRELATION, CORRELATION_SHARE * usual)


def _misfits(pair: Pair, measures: PairMeasures, limit: float) -> Iterator[Finding]:
    files, found = pair.files, measures.alignment
    if found and found.correlation < limit:
        yield Finding("wrong_pair", pair.key, f"correlation {found.correlation:.2f}", -found.correlation, files)
        return
    if found and max(abs(found.dy), abs(found.dx)) >= SHIFT_PX and measures.left_over <= LEFT_OVER:
        detail = f"LR lies {_directions(found.dy, found.dx)}, in HR pixels"
        yield Finding("misaligned", pair.key, detail, max(abs(found.dy), abs(found.dx)), files)
    brighter = max(measures.color, key=abs)
    contrast = max(measures.contrast, key=lambda value: abs(value - 1))
    if abs(brighter) >= COLOUR_LEVELS or abs(contrast - 1) >= CONTRAST_SHARE:
        levels = ", ".join(_signed(value) for value in measures.color)
        detail = f"LR minus HR: {levels} of 255; contrast {_signed(100 * (contrast - 1), 0)} %"
        yield Finding("color", pair.key, detail, max(abs(brighter), 100 * abs(contrast - 1)), files)


def _signed(value: float, digits: int = 1) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # + 0.0: there is no -0


def _directions(dy: float, dx: float) -> str:
    parts = [(dy, "lower", "higher"), (dx, "further right", "further left")]
    return " and ".join(f"{abs(by):.2f} {more if by > 0 else less}" for by, more, less in parts if abs(by) >= 0.1)


def _other_kernels(pairs: Mapping[Pair, PairMeasures], kernels: Counter[str | None]) -> Iterator[Finding]:
    known = Counter({name: count for name, count in kernels.items() if name})
    if not known:
        return
    usual = known.most_common(1)[0][0]
    if usual == UNKNOWN:  # LR that is compressed or noisy: which of them still shows its kernel is chance
        return
    for pair, measures in pairs.items():
        name, error = measures.kernel.name, measures.kernel.error
        if name and name != usual:
            detail = f"{name} (error {error:.1f} of 255), most are {usual}"
            yield Finding("kernel", pair.key, detail, error, pair.files)


def _copies(results: Mapping[Pair, Measures]) -> Iterator[Finding]:
    pairs, marks = list(results), [measures.mark for measures in results.values()]
    for first, second in exact_copies(marks):
        yield _copy("exact", pairs[second], pairs[first].key, 1.0, pairs[first].files[0])
    for first, second, likeness in near_copies(marks):
        yield _copy("near", pairs[second], pairs[first].key, likeness, pairs[first].files[0])


def _copy(kind: str, pair: Pair, other: str, likeness: float, file: Path) -> Finding:
    detail = f"of {other}" + ("" if kind == "exact" else f", correlation {likeness:.4f}")
    return Finding(kind, pair.key, detail, likeness, (pair.files[0], file))


def _overlaps(results: Mapping[Pair, Measures], folder: Path, images: Sequence[Path], tick: Tick) -> Iterator[Finding]:
    """Yield the images of the set that are in another folder too, each once."""
    theirs = {
        pair: result.mark
        for pair, result in _measure_all([Pair(path.name, None, path) for path in images], None, tick).items()
        if isinstance(result, Measures)
    }
    pairs, marks = [*theirs, *results], [*theirs.values(), *(measures.mark for measures in results.values())]
    exact = {mark.content: pair for pair, mark in theirs.items()}
    near = {second: (first, likeness) for first, second, likeness in near_copies(marks, split=len(theirs))}
    for place, (pair, measures) in enumerate(results.items(), start=len(theirs)):
        if other := exact.get(measures.mark.content):
            yield _overlap(pair, folder, other, 1.0)
        elif place in near:
            first, likeness = near[place]
            yield _overlap(pair, folder, pairs[first], likeness)


def _overlap(pair: Pair, folder: Path, other: Pair, likeness: float) -> Finding:
    how = "equal to" if likeness == 1.0 else f"correlation {likeness:.4f} with"
    detail = f"{how} {other.files[0].relative_to(folder).as_posix()} in {folder}"
    return Finding("overlap", pair.key, detail, likeness, (pair.files[0], other.files[0]))
