"""The plain case: one network, its output compared with the ground truth."""

from collections.abc import Iterator
from typing import Any

from traiNNer.batch import Batch
from traiNNer.models.protocol import MAIN, Networks, PhaseLoss, TrainableModel
from traiNNer.registry import MODELS


@MODELS.register(name="restoration", learners=(MAIN,), separable=True)
class RestorationModel(TrainableModel):
    """One network, trained with the losses of `train.losses`."""

    def __init__(self, networks: Networks, losses: Any) -> None:
        self.generator = networks[MAIN]
        self.losses = losses

    def phases(self, batch: Batch, iteration: int) -> Iterator[PhaseLoss]:  # noqa: ARG002
        """Yield the one phase: every loss between output and ground truth."""
        assert batch.gt is not None
        yield PhaseLoss(self.losses(self.generator(batch.lq), batch.gt))
