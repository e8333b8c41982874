"""A closer look at nominated training pairs: the finished network tells what is wrong with each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from traiNNer.batch import ImageSet, Sample, middle_of
from traiNNer.engine.evaluation.scorer import evaluating
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.reference import upscale
from traiNNer.engine.run_folder import cause
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import DataError
from traiNNer.traits import ArchTraits
from traiNNer.utils.upscaling import upscale_image

SIDE = 256
"""GT pixels of the central square that is looked at."""
REACH = 4
"""GT pixels that a shift is searched within, each way."""
SHIFT_LOWERS = 0.85
"""A shift is found where undoing it leaves less than this of the error."""
UNRELATED = 0.3
"""Two images do not belong together where the slopes of their coarse structure correlate less."""
WORSE, OUTLYING = 1.15, 1.5
"""The output counts as worse where its error is so many times bicubic's, and so many times what is usual for that."""
COARSE = 4
GRAY_LEVEL = 1 / 255
SHOWN = 20
NOMINATED, FEWEST, MOST = 0.05, 10, 64
EARLIEST = 200
"""Iterations below which a network cannot tell anything."""


@dataclass(frozen=True)
class Suspect:
    """An image that hurts.

    Args:
        kind: `shifted by (1, -2) px`: GT lies so many pixels lower and further right than LQ says; `does not belong
            together`; or `worse than bicubic`.
        severity: the larger, the worse; comparable between kinds.
    """

    kind: str
    severity: float


def nominated(images: int) -> int:
    """Return how many images of a set get a closer look."""
    return min(MOST, max(FEWEST, round(NOMINATED * images)))


def judge(output: Tensor, target: Tensor) -> Suspect | None:
    """Say whether a 3, H, W target belongs to its LQ, by the output that the network makes of that; None if it does."""
    shift, left = best_shift(output.mean(0), target.mean(0))
    moved = torch.roll(target, (-shift[0], -shift[1]), (1, 2))[:, REACH:-REACH, REACH:-REACH]
    related = slope_correlation(output[:, REACH:-REACH, REACH:-REACH].mean(0), moved.mean(0))
    if related < UNRELATED:
        return Suspect("does not belong together", 3.0 - related)
    if shift != (0, 0) and left < SHIFT_LOWERS:
        return Suspect(f"shifted by ({shift[0]}, {shift[1]}) px", 2.0 - left)
    return None


def excess(output: Tensor, target: Tensor, bicubic: Tensor) -> float:
    """Return the error of an output by that of bicubic upscaling; 1 where they differ by less than a gray level."""
    error, reference = rms(output - target), rms(bicubic - target)
    return 1.0 if abs(error - reference) < GRAY_LEVEL else error / max(reference, GRAY_LEVEL / 10)


def verdicts(looks: Mapping[int, tuple[Suspect | None, float]]) -> dict[int, Suspect]:
    """Return what is wrong, worst first: what `judge` said, and an `excess` that is unusual among those looked at.

    A network that is worse than bicubic upscaling everywhere says nothing of single images.
    """
    usual = median([ratio for suspect, ratio in looks.values() if suspect is None] or [1.0])
    found = {place: suspect for place, (suspect, _) in looks.items() if suspect}
    for place, (suspect, ratio) in looks.items():
        if suspect is None and ratio > max(WORSE, OUTLYING * usual):
            found[place] = Suspect("worse than bicubic", 1 - 1 / ratio)
    return dict(sorted(found.items(), key=lambda item: -item[1].severity))


def best_shift(output: Tensor, target: Tensor) -> tuple[tuple[int, int], float]:
    """Return where an H, W target lies, in pixels down and right, and which share of the error undoing that leaves."""
    height, width = output.shape
    inner = output[REACH : height - REACH, REACH : width - REACH]
    windows = target.unfold(0, inner.shape[0], 1).unfold(1, inner.shape[1], 1)
    errors = torch.stack([(row - inner).square().mean((1, 2)) for row in windows]).sqrt()
    place = int(errors.argmin())
    side = 2 * REACH + 1
    # Far below a gray level there is no difference: two black images are not shifted.
    share = float((errors.min() + GRAY_LEVEL / 10) / (errors[REACH, REACH] + GRAY_LEVEL / 10))
    return (place // side - REACH, place % side - REACH), share


def slope_correlation(first: Tensor, second: Tensor) -> float:
    """Return the correlation of the slopes of two H, W images, both shrunk, so that grain and blur count little.

    1 where either is flat to a gray level: nothing can be said of these.
    """
    small = F.avg_pool2d(torch.stack([first, second]).unsqueeze(1), COARSE).squeeze(1)
    slopes = torch.cat([small.diff(dim=1).flatten(1), small.diff(dim=2).flatten(1)], 1)
    if bool((slopes.square().mean(1).sqrt() < GRAY_LEVEL).any()):
        return 1.0
    return float(F.cosine_similarity(slopes[0], slopes[1], dim=0))


def rms(difference: Tensor) -> float:
    """Return the root mean square."""
    return float(difference.square().mean().sqrt())


class Examination:
    """Looks at nominated pairs with the network that is shipped, and tells what it found.

    Args:
        dataset: the training set; its pairs are files.
        network: to be asked.
        scale: of the run.
        traits: of the network's arch.
        runtime: device and precision.
        logbook: where it is told.
    """

    def __init__(
        self, dataset: ImageSet, network: nn.Module, scale: int, traits: ArchTraits, runtime: Runtime, logbook: Logbook
    ) -> None:
        self.dataset = dataset
        self.network = network
        self.scale = scale
        self.traits = traits
        self.runtime = runtime
        self.logbook = logbook

    def run(self, places: Sequence[int], iteration: int) -> None:
        """Look at some pairs and list those that hurt, worst first; a failure is told and ends nothing."""
        try:
            with self.runtime.memory_apart(), self.runtime.inference_with_saved_rng(), evaluating(self.network):
                looks = {place: look for place in places if (look := self._look_at(place))}
        except Exception as error:  # a set or a network may be somebody else's, and the training is done
            text = cause(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            self.logbook.warn(f"Training images could not be examined: {text}.")
            return
        self._tell(verdicts(looks), len(places), iteration)

    def _look_at(self, place: int) -> tuple[Suspect | None, float] | None:
        try:
            sample = central(self.dataset.whole(place), self.scale)
        except DataError:  # damaged, which training has told already
            return None
        if sample is None:
            return None
        lq, target = (self.runtime.to_float(torch.from_numpy(one).unsqueeze(0)) for one in (sample.lq, sample.gt))
        output = upscale_image(self.runtime.upscaler(self.network), lq, self.scale, self.traits)
        if not bool(torch.isfinite(output).all()):
            return None
        images = (output, target, upscale(middle_of(lq, 4), self.scale))
        output, target, bicubic = (one[0].float().cpu() for one in images)
        return judge(output, target), excess(output, target, bicubic)

    def _tell(self, found: dict[int, Suspect], examined: int, iteration: int) -> None:
        files = list(self.dataset.paired_files().values())
        names = {place: dict(zip(("gt", "lq"), map(str, files[place]), strict=True)) for place in found}
        images = [names[place] | {"kind": one.kind, "severity": round(one.severity, 3)} for place, one in found.items()]
        self.logbook.event("suspect_images", iteration, {"examined": examined, "images": images})
        if not found:
            return
        lines = [f"  {one.kind}: {names[place]['gt']} ({names[place]['lq']})" for place, one in found.items()]
        more = [f"  … and {len(lines) - SHOWN} more in metrics.jsonl"] if len(lines) > SHOWN else []
        self.logbook.warn(
            "\n".join(
                [
                    f"{len(found)} of the {examined} training pairs that the network explains worst hurt, worst first:",
                    *lines[:SHOWN],
                    *more,
                    "  `trainner audit --gt … --lq … --deep --fix list` lists the good images, for meta_info of the "
                    "training set.",
                ]
            )
        )


def central(sample: Sample, scale: int) -> Sample | None:
    """Return the central square of a pair; None of clips of GT, other scales, and images that are too small."""
    lq, gt = sample.lq, sample.gt
    if lq is None or gt is None or gt.shape[:-1] != (lq.shape[-3] * scale, lq.shape[-2] * scale):
        return None
    side = SIDE // scale
    top, left = (max(0, (length - side) // 2) for length in lq.shape[-3:-1])
    lq = lq[..., top : top + side, left : left + side, :]
    height, width = lq.shape[-3:-1]
    if min(height, width) * scale < 8 * REACH:
        return None
    large = gt[top * scale : (top + height) * scale, left * scale : (left + width) * scale]
    return Sample(np.ascontiguousarray(lq), np.ascontiguousarray(large), sample.key)
