"""The plain case: one network, its output compared with the ground truth."""

from collections.abc import Callable, Iterator

from torch import Tensor

from traiNNer.batch import Batch
from traiNNer.errors import DataError
from traiNNer.models.protocol import PhaseLoss, Upscaler


class RestorationModel:
    """One generator and its weighted losses."""

    def __init__(self, generator: Upscaler, losses: Callable[..., dict[str, Tensor]]) -> None:
        self.generator = generator
        self.losses = losses

    def phases(self, batch: Batch) -> Iterator[PhaseLoss]:
        """Yield the one phase: every loss between output and ground truth."""
        if batch.lq is None:
            raise DataError(f"datasets.train: {batch.keys[0]} has no LQ image, and the model makes none.")
        output = self.generator(batch.lq)
        yield PhaseLoss(self.losses(output=output, target=batch.gt, lq=batch.lq))
