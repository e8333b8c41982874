"""How well the network explains each training image, noted in passing: what nominates images for a closer look."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from traiNNer.batch import Batch
from traiNNer.engine.reference import upscale
from traiNNer.engine.runtime.runtime import Runtime

READ_EVERY = 100
"""Steps that are noted on the device before they are read, with one wait."""
LEAST_VISITS = 2
SUMS = ("cross", "added", "missing", "moved", "visits")
Noted = tuple[tuple[str, ...], Tensor]


class Explained:
    """Compares what the network adds to bicubic upscaling with what bicubic upscaling lacks, image by image."""

    def __init__(self, scale: int) -> None:
        self.scale = scale

    @torch.no_grad()
    def __call__(self, output: Tensor, batch: Batch) -> Tensor | None:
        """Return B x 4 means; None where the sizes do not allow it.

        They are of the product of both, of their squares, and of the square of what a shift explains of the missing:
        the part of it along the two derivatives of the bicubic image.

        Args:
            output: B, [T,] 3, sH, sW.
            batch: with LQ and GT on the device. Within two LQ pixels of the border bicubic upscaling of a crop is not
                that of the image, so these are left out.
        """
        if batch.middle is None or batch.gt is None or output.shape != batch.gt.shape:
            return None
        edge = 2 * self.scale
        if min(output.shape[-2:]) <= 2 * edge:
            return None
        # The mean of the channels: a third of the work, and a shift or a wrong partner shows in it as well.
        lq, target, output = (images.float().mean(-3, keepdim=True) for images in (batch.middle, batch.gt, output))
        bicubic, target, output = (
            images[..., edge:-edge, edge:-edge] for images in (upscale(lq, self.scale), target, output)
        )
        added, missing = (output - bicubic).flatten(1), (target - bicubic).flatten(1)
        moved = moved_share(bicubic, missing)
        return torch.stack([*(part.mean(1) for part in (added * missing, added**2, missing**2)), moved], 1)


def moved_share(images: Tensor, missing: Tensor) -> Tensor:
    """Return for B, …, H, W images the mean square of the part of B x N differences that a shift explains."""
    down, right = torch.gradient(images, dim=(-2, -1))
    slopes = torch.stack([down.flatten(1), right.flatten(1)], 1)
    moments = slopes @ slopes.mT + 1e-6 * torch.eye(2, device=images.device)
    along = slopes @ missing.unsqueeze(2)
    (a, b), (c, d) = moments.permute(1, 2, 0)  # inverted by hand: the solver of a device may wait for it
    y, x = along[:, 0, 0], along[:, 1, 0]
    return (d * y * y - (b + c) * x * y + a * x * x) / (a * d - b * c) / missing.shape[1]


class Suspicion:
    """Sums of what `Explained` found, by image, over the last half to three quarters of the iterations so far.

    They begin anew at every power of two, and those from the power before count as well: no length of the run has to be
    known. Each rank notes the images that it sees; saving or asking for `worst` brings them together.

    Args:
        keys: of the images of the set, in order, each once.
        runtime: device and ranks.
    """

    def __init__(self, keys: Sequence[str], runtime: Runtime) -> None:
        self.runtime = runtime
        self.images = len(keys)
        self._places = {key: place for place, key in enumerate(keys)}
        self._sums = np.zeros((2, len(keys), len(SUMS)))  # before and since the last power of two
        self._noted: list[Noted] = []
        self._about = zlib.crc32("\n".join(keys).encode("utf-8", "surrogateescape"))

    def note(self, iteration: int, keys: tuple[str, ...], values: Tensor | None) -> None:
        """Note the images of one step; `values` are rows of `Explained`, one for each key."""
        if iteration & (iteration - 1) == 0:
            self._read()
            self._sums[0], self._sums[1] = self._sums[1].copy(), 0.0
        if values is None or len(values) != len(keys):
            return
        self._noted.append((keys, values))
        if len(self._noted) >= READ_EVERY:
            self._read()

    def worst(self, count: int) -> list[int]:
        """Return the places of the images that are explained worst; every rank has to ask.

        The measure is the correlation of what the network adds with what is missing, less the share of the missing that
        a shift explains. It is about 0 or below for pairs that are shifted or do not belong together; for flat images
        too, which a closer look tells apart.
        """
        self._bring_together()
        cross, added, missing, moved, visits = self._sums.sum(0).T
        seen = np.flatnonzero((visits >= LEAST_VISITS) & (missing > 0))
        correlation = cross[seen] / np.sqrt(added[seen] * missing[seen] + np.finfo(float).tiny)
        score = correlation - moved[seen] / missing[seen]
        return seen[np.argsort(score, kind="stable")[:count]].tolist()

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of all ranks; every rank has to ask."""
        self._bring_together()
        return {"sums": torch.from_numpy(self._sums.copy()), "about": self._about}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, on rank 0; of another set of images begin anew."""
        self._noted, self._sums[:] = [], 0.0
        if state["about"] == self._about and self.runtime.is_main:
            self._sums[:] = state["sums"].numpy()

    def _bring_together(self) -> None:
        self._read()
        if self.runtime.world > 1:
            total = sum(self.runtime.gather(self._sums))
            self._sums[:] = total if self.runtime.is_main else 0.0

    def _read(self) -> None:
        noted, self._noted = self._noted, []
        if not noted:
            return
        values = torch.cat([values for _, values in noted]).double().cpu().numpy()
        places = np.array([self._places.get(key, -1) for keys, _ in noted for key in keys])
        good = (places >= 0) & np.isfinite(values).all(1)
        np.add.at(self._sums[1], places[good], np.pad(values[good], ((0, 0), (0, 1)), constant_values=1.0))
