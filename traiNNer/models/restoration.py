"""The plain case: one network, its output compared with the ground truth."""

from collections.abc import Iterator

from traiNNer.batch import Batch
from traiNNer.errors import DataError
from traiNNer.models.protocol import MAIN, Losses, Networks, PhaseLoss, TrainableModel, averaged
from traiNNer.registry import MODELS


@MODELS.register(name="restoration", learners=(MAIN,), separable=True)
class RestorationModel(TrainableModel):
    """One network, trained with the losses of `train.losses`.

    Networks of clips make the middle frame, which the losses compare; a loss that asks for `lq` gets the middle one.
    """

    def __init__(self, networks: Networks, averages: Networks, losses: Losses) -> None:
        self.generator = networks[MAIN]
        self.average = averages.get(MAIN)
        self.losses = losses

    def phases(self, batch: Batch, iteration: int) -> Iterator[PhaseLoss]:
        """Yield the one phase: every loss of the network's output. Raises `DataError` where the dataset gives no LQ."""
        if batch.lq is None:
            raise DataError(f"datasets.train: {batch.keys[0]} has no LQ image, and the model makes none.")
        output = self.generator(batch.lq)
        terms = self.losses(
            output=output,
            target=batch.gt,
            lq=batch.middle,
            output_ema=averaged(self.average, batch.lq),
            iteration=iteration,
        )
        yield PhaseLoss(terms, output=output)
