"""The plain case: one network, its output compared with the ground truth."""

from collections.abc import Iterator

import torch
from torch import Tensor

from traiNNer.batch import Batch
from traiNNer.errors import DataError
from traiNNer.models.protocol import MAIN, Losses, Networks, PhaseLoss, TrainableModel
from traiNNer.registry import MODELS


@MODELS.register(name="restoration", learners=(MAIN,), separable=True)
class RestorationModel(TrainableModel):
    """One network, trained with the losses of `train.losses`."""

    def __init__(self, networks: Networks, losses: Losses, averages: Networks | None = None) -> None:
        self.generator = networks[MAIN]
        self.average = (averages or {}).get(MAIN)
        self.losses = losses

    def phases(self, batch: Batch, iteration: int) -> Iterator[PhaseLoss]:
        """Yield the one phase: every loss of the output, with what it asks for.

        Raises:
            DataError: the dataset gives no LQ images.
        """
        if batch.lq is None:
            raise DataError(f"datasets.train: {batch.keys[0]} has no LQ image, and the model makes none.")
        lq, average = batch.lq, self.average

        def averaged() -> Tensor:
            assert average is not None
            with torch.no_grad():
                return average(lq)

        output_ema = averaged if average else None
        terms = self.losses(
            output=self.generator(lq), target=batch.gt, lq=lq, output_ema=output_ema, iteration=iteration
        )
        yield PhaseLoss(terms)
