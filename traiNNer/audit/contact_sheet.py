"""A page of the worst images that an audit found: one HTML file with everything in it, grouped by problem."""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from traiNNer.audit.findings import KINDS, Finding
from traiNNer.audit.survey import Survey
from traiNNer.imaging.image_file import ImageError, read_image

SHOWN = 12
"""Cases shown of each kind: the worst ones."""
THUMBNAIL = 240
DETAIL = 80
IN_DETAIL = ("misaligned", "kernel", "jpeg", "soft")
"""Kinds that can only be seen in single pixels: a detail is shown instead of the whole image."""

STYLE = """
:root { color-scheme: light dark; --ground: #fafaf8; --card: #fff; --text: #1d1d1b; --quiet: #6b6b66; --line: #e2e2dc;
  --stop: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ground: #161615; --card: #1f1f1d; --text: #e9e9e4; --quiet: #9a9a93;
  --line: #33332f; --stop: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 88rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.facts { color: var(--quiet); margin: .25rem 0 1.5rem; }
nav { display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: 2.5rem; }
nav a { padding: .2rem .7rem; border: 1px solid var(--line); border-radius: 1rem; color: inherit; text-decoration: none;
  background: var(--card); font-size: .85rem; }
nav b, h2 span { font-variant-numeric: tabular-nums; }
section { margin-bottom: 2.75rem; }
h2 { font-size: 1.1rem; font-weight: 600; margin: 0; }
h2 span, .advice, figcaption small, .more { color: var(--quiet); font-weight: 400; }
h2 .stops { color: var(--stop); font-size: .8rem; margin-left: .5rem; }
.advice { margin: 0 0 .9rem; }
.cases { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); align-items: start; }
.cases.two { grid-template-columns: repeat(auto-fill, minmax(24rem, 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.images { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: .5rem; align-items: end; }
.images div { min-width: 0; }
.images img { display: block; width: 100%; max-height: 15rem; object-fit: contain; image-rendering: auto; }
.images .detail { image-rendering: pixelated; }
.images small { color: var(--quiet); font-size: .75rem; }
.none { display: grid; place-items: center; height: 6rem; border: 1px dashed var(--line); color: var(--quiet);
  font-size: .8rem; }
figcaption { margin-top: .5rem; overflow-wrap: anywhere; font-size: .9rem; }
figcaption small { display: block; font-size: .82rem; }
"""


def contact_sheet(found: Survey, findings: Sequence[Finding]) -> str:
    """Return the page; it loads nothing from elsewhere, and names in it are escaped."""
    title = f"Audit of {found.gt_root.name or found.gt_root}"
    kinds = [key for key in KINDS if any(finding.kind == key for finding in findings)]
    groups = {key: [finding for finding in findings if finding.kind == key] for key in kinds}
    links = "".join(
        f'<a href="#{key}">{escape(KINDS[key].title)} <b>{len(group)}</b></a>' for key, group in groups.items()
    )
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f'<h1>{escape(title)}</h1><p class="facts">{escape(_facts(found, findings))}</p>',
        f"<nav>{links}</nav>" if kinds else "<p>No problems found.</p>",
        *(_section(found, key, group) for key, group in groups.items()),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _facts(found: Survey, findings: Sequence[Finding]) -> str:
    scale = f", {found.scale}x" if found.scale else ""
    first = {file for finding in findings for file in finding.files[:1]}  # the other is a partner or an original
    marked = sum(not first.isdisjoint(pair.files) for pair in found.pairs)
    usable = {file for pair in found.pairs for file in pair.files}
    others = sum(usable.isdisjoint(finding.files[:1]) for finding in findings)
    more = f"; {others} findings about other files or the whole set" if others else ""
    return f"{len(found.pairs)} {'pairs' if found.lq_root else 'images'}{scale}; {marked} with a finding{more}"


def _section(found: Survey, key: str, group: Sequence[Finding]) -> str:
    kind, shown = KINDS[key], group[:SHOWN]
    two = " two" if any(len(finding.files) > 1 for finding in shown) else ""
    more = f'<p class="more">… and {len(group) - SHOWN} more</p>' if len(group) > SHOWN else ""
    stops = '<span class="stops">training is refused</span>' if kind.stops else ""
    cases = "\n".join(_case(found, finding) for finding in shown)
    return (
        f'<section id="{key}"><h2>{escape(kind.title)} <span>{len(group)}</span>{stops}</h2>'
        f'<p class="advice">{escape(kind.advice)}</p><div class="cases{two}">\n{cases}\n</div>{more}</section>'
    )


def _case(found: Survey, finding: Finding) -> str:
    images = "".join(_figures(found, finding))
    detail = f"<small>{escape(finding.detail)}</small>" if finding.detail else ""
    shown = f'<div class="images">{images}</div>' if images else ""
    return f"<figure>{shown}<figcaption>{escape(finding.name)}{detail}</figcaption></figure>"


def _figures(found: Survey, finding: Finding) -> Iterator[str]:
    in_detail = finding.kind in IN_DETAIL
    is_pair = len(finding.files) == 2 and finding.files[1] in found.headers and finding.files[0] in found.headers
    is_pair = is_pair and finding.kind not in ("exact", "near", "overlap", "two_files")
    pictures: list[np.ndarray | None] = []
    for path in finding.files[:2]:
        try:
            pictures.append(_eight_bits(read_image(path)))
        except ImageError:
            pictures.append(None)
    details = _details(pictures) if in_detail else None
    for number, picture in enumerate(pictures):
        label = ("HR", "LR")[number] if is_pair else finding.files[number].name
        if picture is None:
            yield f'<div><div class="none">cannot be read</div><small>{escape(label)}</small></div>'
            continue
        source = _data_uri(details[number] if details else _thumbnail(picture), is_exact=bool(details))
        style = ' class="detail"' if details else ""
        yield f'<div><img{style} alt="{escape(label)}" src="{source}"><small>{escape(label)}</small></div>'


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return (image // 257).astype(np.uint8) if image.dtype == np.uint16 else image


def _thumbnail(image: np.ndarray) -> np.ndarray:
    factor = THUMBNAIL / max(image.shape[:2])
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)


def _busiest(image: np.ndarray) -> tuple[float, float]:
    """Return the middle of the busiest part, as shares of height and width: where two images can be told apart."""
    gray = image.mean(axis=2, dtype=np.float32)
    change = np.abs(cv2.Laplacian(gray, cv2.CV_32F))
    busy = cv2.blur(change, (DETAIL, DETAIL))
    margin = [min(DETAIL // 2, (side - 1) // 2) for side in busy.shape]
    inside = busy[margin[0] : busy.shape[0] - margin[0], margin[1] : busy.shape[1] - margin[1]]
    row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return (int(row) + margin[0]) / gray.shape[0], (int(column) + margin[1]) / gray.shape[1]


def _details(pictures: Sequence[np.ndarray | None]) -> list[np.ndarray] | None:
    """Return the same busy square of HR and LR, DETAIL pixels of HR wide; None when one of them is missing."""
    known = [picture for picture in pictures if picture is not None]
    if not known or len(known) < len(pictures):
        return None
    found = []
    factors = [max(1, known[0].shape[1] // picture.shape[1]) for picture in known]
    place = _busiest(known[0])
    # On the grid of LR, so that both begin at the same point of the scene.
    whole = max(factors)
    corner = [
        max(0, min(int(share * side) - DETAIL // 2, side - DETAIL)) // whole * whole
        for share, side in zip(place, known[0].shape[:2], strict=True)
    ]
    for factor, picture in zip(factors, known, strict=True):
        top, left = (min(at // factor, side - 1) for at, side in zip(corner, picture.shape[:2], strict=True))
        side = max(1, DETAIL // whole * whole // factor)
        found.append(picture[top : top + side, left : left + side])
    return found


def _data_uri(image: np.ndarray, is_exact: bool) -> str:
    kind, options = (".png", []) if is_exact else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 88])
    data = cv2.imencode(kind, image[:, :, ::-1], options)[1].tobytes()
    return f"data:image/{'png' if is_exact else 'jpeg'};base64," + base64.b64encode(data).decode()


def sheet_name(gt_root: Path) -> str:
    """Return the name of the page for a folder."""
    return f"audit_{gt_root.absolute().name or 'set'}.html"
