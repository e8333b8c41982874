"""One image upscaled: gray stays gray, opacity is upscaled too, and tiles become smaller where memory runs out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from traiNNer.errors import OutOfMemory
from traiNNer.upscaling.memory import SMALLEST_TILE, HostMemory
from traiNNer.upscaling.network import ReadyNetwork
from traiNNer.utils.upscaling import Tiling, upscale_image

PEAKS = {"uint8": 255.0, "uint16": 65535.0}


class NotFinite(ValueError):
    """The network made something of an image that is not a number."""


@dataclass(frozen=True)
class Picture:
    """An image: H, W, 3 RGB or H, W gray, with H, W opacity or None; uint8, uint16, or float32 in [0, 1], all alike."""

    colors: np.ndarray
    opacity: np.ndarray | None = None


class Upscaler:
    """Upscales images with one network; tiles that do not fit into memory become smaller for all that follow.

    Args:
        network: what upscales.
        tiling: side and context of the tiles in LQ pixels; an image of at most that side is not divided.
    """

    def __init__(self, network: ReadyNetwork, tiling: Tiling) -> None:
        self.network = network
        self.tiling = tiling
        self._memory = HostMemory(network)

    def __call__(self, picture: Picture) -> Picture:
        """Return the image upscaled, of the same type.

        Raises:
            OutOfMemory: the smallest tiles do not fit.
            NotFinite: the output is not finite somewhere.
        """
        colors = self._upscaled(picture.colors)
        return Picture(colors, None if picture.opacity is None else self._opacity(picture.opacity))

    def frame(self, clip: Sequence[np.ndarray]) -> np.ndarray:
        """Return the middle frame of a clip upscaled: of `network.frames` H, W, 3 uint8 frames sH, sW, 3 uint8.

        Raises:
            OutOfMemory: the smallest tiles do not fit.
            NotFinite: the output is not finite somewhere.
        """
        images = torch.stack([_to_tensor(frame) for frame in clip], dim=1)
        return self._finite(images if len(clip) > 1 else images[:, 0], clip[0].dtype, is_gray=False)

    def _opacity(self, opacity: np.ndarray) -> np.ndarray:
        """Upscale H, W opacity; what is equally opaque everywhere stays so, whatever a network makes of it."""
        if opacity.size and (opacity == opacity.flat[0]).all():
            scale = self.network.scale
            return np.full([side * scale for side in opacity.shape], opacity.flat[0])
        return self._upscaled(opacity)

    def _upscaled(self, image: np.ndarray) -> np.ndarray:
        still = _to_tensor(image)
        frames = self.network.frames
        lq = still if frames == 1 else still.unsqueeze(1).expand(-1, frames, -1, -1, -1)  # a film that stands still
        return self._finite(lq, image.dtype, image.ndim == 2)

    def _finite(self, lq: Tensor, kind: np.dtype, is_gray: bool) -> np.ndarray:
        output = self._in_tiles(lq)[0]
        if not bool(torch.isfinite(output).all()):
            raise NotFinite("the output of the network is not finite: NaN or infinity")
        return _to_array(output.mean(0) if is_gray else output.movedim(0, -1), kind)

    def _in_tiles(self, lq: Tensor) -> Tensor:
        network = self.network
        self.tiling = self._memory.fitted(self.tiling, lq.shape[-2], lq.shape[-1])
        while True:
            try:
                return upscale_image(network.call, lq, network.scale, network.traits, self.tiling)
            except (RuntimeError, MemoryError) as error:
                if not network.runtime.ran_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            # Outside of the handler: the traceback holds the tensors that did not fit.
            self._halve(max(lq.shape[-2:]), reason)
            network.runtime.release_memory()

    def _halve(self, longest: int, reason: str) -> None:
        side = min(self.tiling.size or longest, longest) // 2
        if side < SMALLEST_TILE:
            raise OutOfMemory(f"Out of memory, even in tiles of {2 * side} pixels. ({reason})")
        self.tiling = Tiling(side, self.tiling.overlap)


def _to_tensor(image: np.ndarray) -> Tensor:
    """Turn H, W, 3 or H, W into 1, 3, H, W float32 in [0, 1]."""
    values = torch.from_numpy(np.ascontiguousarray(image)).to(torch.float32) / PEAKS.get(image.dtype.name, 1.0)
    three = values.unsqueeze(-1).expand(-1, -1, 3) if values.ndim == 2 else values
    return three.movedim(-1, 0).unsqueeze(0).contiguous()


def _to_array(output: Tensor, kind: np.dtype) -> np.ndarray:
    """Turn values around [0, 1] into an array of a type: clamped, and rounded for integers."""
    values = output.clamp(0, 1)
    peak = PEAKS.get(kind.name)
    return (values if peak is None else values.mul(peak).round()).numpy().astype(kind)
