"""From estimates to a recipe that a training set takes: `degradations` in the order in which images suffer."""

from collections.abc import Sequence

import yaml

from traiNNer.estimate.picture import Picture, Quantity
from traiNNer.estimate.summary import Span, gray_share, span, subsamplings

HEAD = "# Proposed by trainner estimate from {count} images. Put it below datasets.train; LQ is made of the photos.\n"


def recipe_text(pictures: Sequence[Picture]) -> str | None:
    """Return the YAML of a recipe, None where nothing was done to the images."""
    steps = [step for make in (_blur, _resize, _noise, _jpeg) if (step := make(pictures))]
    if not steps:
        return None
    # All was measured in pixels of LQ: it has that size before anything else is done.
    items = [{"type": "shrink"}, *steps]
    lines = [f"  - {_flow(item)}\n" for item in items]
    return HEAD.format(count=len(pictures)) + "degradations:\n" + "".join(lines)


def _flow(item: dict) -> str:
    text = yaml.safe_dump(item, default_flow_style=True, sort_keys=False, width=10_000)
    return text.strip()


def _step(kind: str, found: Span, **options: object) -> dict:
    prob = round(found.share, 2)
    return {"type": kind} | options | ({"prob": prob} if prob < 1 else {})


def _blur(pictures: Sequence[Picture]) -> dict | None:
    found = span(pictures, "blur")
    return _step("blur", found, kernels=["iso"], sigma=_rounded(found, 2)) if found else None


def _resize(pictures: Sequence[Picture]) -> dict | None:
    found = span(pictures, "enlarged")
    if found is None:
        return None
    factor = [round(1 / found.high, 3), min(1.0, round(1 / found.low, 3))]
    return _step("resize", found, factor=factor, probs=[0, 1, 0], back=True)


def _noise(pictures: Sequence[Picture]) -> dict | None:
    found = span(pictures, "noise")
    if found is None:
        return None
    gray = round(gray_share(pictures), 2)
    return _step("noise", found, kinds=["gaussian"], sigma=_rounded(found, 1), gray_prob=gray)


def _jpeg(pictures: Sequence[Picture]) -> dict | None:
    found = span(pictures, "quality")
    if found is None:
        return None
    options: dict[str, object] = {"quality": [int(found.low), min(100, int(-(-found.high // 1)))]}
    ways = subsamplings(pictures)
    if ways:
        options["subsampling"] = list(ways)
    if len(ways) > 1:
        options["subsampling_weights"] = [round(count / ways.total(), 2) for count in ways.values()]
    return _step("jpeg", found, **options)


def _rounded(found: Span, digits: int) -> list[float]:
    return [round(found.low, digits), round(found.high, digits)]


def report_lines(pictures: Sequence[Picture]) -> list[str]:
    """Return a line for each quantity: how many images show it, its interval, and what is known about it."""
    titles: dict[Quantity, tuple[str, str, int]] = {
        "enlarged": ("enlarged", "by a factor of", 2),
        "blur": ("blur", "of a width in pixels of", 2),
        "noise": ("noise", "of a standard deviation, in steps of 255, of", 1),
        "quality": ("JPEG", "of quality", 0),
    }
    lines = []
    for quantity, (title, unit, digits) in titles.items():
        found = span(pictures, quantity)
        hidden = sum(quantity in picture.hidden for picture in pictures)
        unseen = f"; hidden in {hidden}" if hidden else ""
        if found is None:
            lines.append(f"{title}: none{unseen}")
            continue
        interval = f"{found.low:.{digits}f} to {found.high:.{digits}f}, median {found.middle:.{digits}f}"
        lines.append(f"{title}: in {found.images} of {found.seen}, {unit} {interval}{unseen}")
    exact = sum(picture.is_exact for picture in pictures)
    if span(pictures, "quality"):
        ways = ", ".join(f"{way} in {count}" for way, count in subsamplings(pictures).items()) or "cannot be seen"
        lines.append(f"JPEG: read from the tables of {exact} files, in others from the pixels; color {ways}")
    return lines
