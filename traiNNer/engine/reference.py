"""The loss of bicubic upscaling on a training batch: most of a loss's noise from batch to batch goes along with it."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from traiNNer.batch import Batch
from traiNNer.utils.resize import enlarging_matrix


class BicubicReference:
    """Measures a pixel loss between bicubic upscaling of the LQ images and the ground truth.

    The difference of two logarithms, network and bicubic on the same crops, varies far less than the loss itself: hard
    crops are hard for both (a control variate). Scale 1 compares the LQ images themselves.
    """

    def __init__(self, loss: Callable[..., Tensor], scale: int, weight: float = 1.0) -> None:
        self.loss = loss
        self.scale = scale
        self.weight = weight

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss, a scalar, for B, [T,] 3, H, W images in [0, 1]; both sides must be there."""
        assert batch.middle is not None
        assert batch.gt is not None
        return self.weight * self.loss(output=upscale(batch.middle, self.scale), target=batch.gt)


class ReferenceInTime:
    """The reference by the first of several pixel losses that is active; not a number where none is.

    Args:
        choices: whether a loss is active in an iteration (from 1), and the reference by it.
    """

    def __init__(self, choices: Sequence[tuple[Callable[[int], bool], BicubicReference]]) -> None:
        self.choices = choices

    def __call__(self, batch: Batch, iteration: int) -> Tensor:
        """Return the loss of bicubic upscaling, a scalar."""
        assert batch.gt is not None
        active = (reference for is_active, reference in self.choices if is_active(iteration))
        chosen = next(active, None)
        return chosen(batch) if chosen else torch.full((), math.nan, device=batch.gt.device)


def upscale(images: Tensor, scale: int) -> Tensor:
    """Return B, [T,] C, H, W images enlarged as `utils.resize.imresize` does it, unclipped.

    Two small matrix products; torch's own bicubic takes ten times as long on the CPU.
    """
    if scale == 1:
        return images
    rows, columns = (matrix(side, scale, images.dtype, images.device) for side in images.shape[-2:])
    return rows @ images.contiguous() @ columns.T


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)
def matrix(side: int, scale: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the sH x H matrix that enlarges one axis; kept, so that a device gets it once, for training as well."""
    return torch.from_numpy(enlarging_matrix(side, scale)).to(device, dtype, copy=True)
