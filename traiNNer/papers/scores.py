"""Scores of a network and of bicubic upscaling on a set, by the protocol of published tables."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from traiNNer.errors import ConfigError, DataError
from traiNNer.metrics.psnr import mean_squared_error
from traiNNer.metrics.ssim import mean_similarity
from traiNNer.papers.images import ImageSet, Picture, pictures, published_bicubic
from traiNNer.registry import METRICS
from traiNNer.utils.resize import imresize

Metric = Callable[[np.ndarray, np.ndarray | None], float]
METRICS_BY_NAME: Mapping[str, tuple[str, dict[str, bool]]] = {
    "psnr_y": ("psnr", {"test_y_channel": True}),
    "ssim_y": ("ssim", {"test_y_channel": True}),
    "psnr_rgb": ("psnr", {"test_y_channel": False}),
    "ssim_rgb": ("ssim", {"test_y_channel": False}),
    "lpips": ("lpips", {}),
    "dists": ("dists", {}),
}
"""What is measured, and the metric with its options."""
OPTIONAL = ("lpips", "dists")
"""Those whose weights may not be there."""
PERFECT = 100.0
"""dB of equal images, in a mean."""


@dataclass(frozen=True)
class SetScores:
    """Results on a set, means over its images.

    Args:
        name: of the set.
        count: of images.
        network: by `METRICS_BY_NAME`.
        bicubic: the same, of bicubic upscaling of the same LQ images.
        as_published: PSNR and SSIM of bicubic upscaling computed as the published rows were.
        gray: how many files are gray.
        gray_raw: PSNR of luma where gray files are compared by their own levels instead of as RGB; None without any.
    """

    name: str
    count: int
    network: dict[str, float]
    bicubic: dict[str, float]
    as_published: tuple[float, float]
    gray: int
    gray_raw: float | None


@dataclass
class _Sums:
    network: list[dict[str, float]] = field(default_factory=list)
    bicubic: list[dict[str, float]] = field(default_factory=list)
    as_published: list[tuple[float, float]] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    gray: int = 0


def build_metrics(scale: int) -> tuple[dict[str, Metric], list[str]]:
    """Return every metric that can be computed here by its name, and why others cannot."""
    found, missing = {}, []
    for title, (name, options) in METRICS_BY_NAME.items():
        try:
            found[title] = METRICS.build(name, options, scale=scale)
        except ConfigError as error:
            if title not in OPTIONAL:
                raise
            missing.append(f"{title} is not measured: {str(error).splitlines()[0]}")
    return found, missing


def score_set(
    images: ImageSet, scale: int, upscale: Callable[[np.ndarray], np.ndarray], metrics: Mapping[str, Metric]
) -> SetScores:
    """Upscale and score every image.

    Args:
        images: the set.
        scale: upscaling factor.
        upscale: H, W, 3 uint8 to sH, sW, 3 uint8.
        metrics: what `build_metrics` returned.

    Raises:
        DataError: an image cannot be used, or a metric cannot be computed for it.
    """
    sums = _Sums()
    for picture in pictures(images, scale):
        output = upscale(picture.lq)
        bicubic = imresize(picture.lq, size=picture.target.shape[:2])
        sums.network.append(_scores(metrics, output, picture, images.name))
        sums.bicubic.append(_scores(metrics, bicubic, picture, images.name))
        luma, enlarged = (image[scale:-scale, scale:-scale] for image in published_bicubic(picture, scale))
        sums.as_published.append((_psnr(luma, enlarged), mean_similarity(luma, enlarged)))
        sums.gray += picture.is_gray
        sums.raw.append(_raw_psnr(output, picture, scale) if picture.is_gray else sums.network[-1]["psnr_y"])
    published = tuple(float(np.mean(values)) for values in zip(*sums.as_published, strict=True))
    return SetScores(
        images.name,
        len(sums.network),
        _means(sums.network),
        _means(sums.bicubic),
        (published[0], published[1]),
        sums.gray,
        float(np.mean(sums.raw)) if sums.gray else None,
    )


def _scores(metrics: Mapping[str, Metric], output: np.ndarray, picture: Picture, title: str) -> dict[str, float]:
    try:
        return {name: min(PERFECT, metric(output, picture.target)) for name, metric in metrics.items()}
    except ValueError as error:
        raise DataError(f"{title}: {picture.key}: {error}") from None


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = mean_squared_error(first, second)
    return 10 * math.log10(255**2 / error) if error else PERFECT


def _raw_psnr(output: np.ndarray, picture: Picture, scale: int) -> float:
    """Return the PSNR of a gray file by its own levels: that of its first channel, and of the output's mean."""
    inside = (slice(scale, -scale), slice(scale, -scale))
    return _psnr(picture.target[inside][..., 0].astype(np.float64), np.round(output[inside].mean(2)))
