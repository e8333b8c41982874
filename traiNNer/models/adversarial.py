"""A GAN: the generator is trained beside a discriminator, which judges what it makes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from traiNNer.batch import Batch
from traiNNer.errors import ConfigError, DataError
from traiNNer.losses.judge import Adversary, Judge
from traiNNer.losses.weighted import WeightedLosses
from traiNNer.models.protocol import MAIN, Networks, PhaseLoss, TrainableModel, averaged
from traiNNer.registry import MODELS

OPPONENT = "net_d"
INERTIA = 0.9
"""Share of the old value in the running mean of the accuracy: it follows the last ten iterations or so."""
Count = Annotated[int, Field(ge=0)]


@MODELS.register(name="adversarial", learners=(MAIN, OPPONENT), separable=True)
class AdversarialModel(TrainableModel):
    """A generator and a discriminator, `network_d`, trained in turns.

    In every iteration the generator is trained with `train.losses`, among them one `ganloss`; then the discriminator
    with that loss's counterpart, on the same output. Losses of the generator do not train the discriminator.

    Args:
        net_d_iters: The generator is trained in every such iteration, the discriminator in each.
        net_d_init_iters: Iterations in the beginning in which the discriminator is trained alone.
        pause_d_above: While the discriminator's accuracy, averaged over about ten iterations, is above this, it is not
            trained; by default it always is. Training waits for the device once an iteration for it.

    Raises:
        ConfigError: not one loss but none or several train the discriminator.
    """

    def __init__(
        self,
        networks: Networks,
        averages: Networks,
        losses: WeightedLosses,
        net_d_iters: Annotated[int, Field(ge=1)] = 1,
        net_d_init_iters: Count = 0,
        pause_d_above: Annotated[float, Field(gt=0, lt=1)] | None = None,
    ) -> None:
        self.generator, self.discriminator = networks[MAIN], networks[OPPONENT]
        self.average = averages.get(MAIN)
        self.losses = losses
        self.name, self.adversary = _only_adversary(losses)
        self.keeps_features = any(getattr(loss, "needs_features", False) for loss in losses.losses)
        self.net_d_iters = net_d_iters
        self.net_d_init_iters = net_d_init_iters
        self.pause_above = pause_d_above
        self.accuracy = torch.tensor(0.5)

    def phases(self, batch: Batch, iteration: int) -> Iterator[PhaseLoss]:
        """Yield the generator's phase, then the discriminator's. Raises `DataError` without LQ or ground truth."""
        if batch.lq is None or batch.gt is None:
            missing = "LQ image" if batch.lq is None else "ground truth"
            raise DataError(f"datasets.train: {batch.keys[0]} has no {missing}, and a GAN needs both.")
        trains_generator = iteration > self.net_d_init_iters and iteration % self.net_d_iters == 0
        is_paused = trains_generator and self._is_paused()
        with torch.set_grad_enabled(trains_generator):
            output = self.generator(batch.lq)
        if trains_generator:
            terms = self.losses(
                output=output,
                target=batch.gt,
                lq=batch.middle,
                output_ema=averaged(self.average, batch.lq),
                iteration=iteration,
                discriminator=Judge(self.discriminator, self.keeps_features),
            )
            measures = self._measures(batch.gt, output.detach()) if is_paused else {}
            yield PhaseLoss(terms, output=output, measures=measures)
        if not is_paused and self.losses.spans[self.name].covers(iteration):
            verdict = self.adversary.against(self.discriminator, batch.gt, output.detach(), iteration)
            yield PhaseLoss(dict(verdict.terms), OPPONENT, measures=_named(verdict.measures))

    def after_step(self, measures: Mapping[str, Tensor]) -> None:
        """Let the running mean of the accuracy follow; one that is not finite changes nothing."""
        found = measures.get(f"{OPPONENT}/accuracy")
        if self.pause_above is not None and found is not None:
            old = self.accuracy.to(found.device)
            self.accuracy = torch.where(torch.isfinite(found), torch.lerp(found, old, INERTIA), old)

    def state_dict(self) -> dict[str, Any]:
        """Return the running mean of the discriminator's accuracy."""
        return {"accuracy": self.accuracy.cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.accuracy = state["accuracy"]

    def _is_paused(self) -> bool:
        return self.pause_above is not None and float(self.accuracy) > self.pause_above

    @torch.no_grad()
    def _measures(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Judge without training, so that a paused discriminator is known to be wrong again."""
        return _named(self.adversary.judged(self.discriminator, real, fake))


def _only_adversary(losses: WeightedLosses) -> tuple[str, Adversary]:
    named = zip(losses.weights, losses.losses, strict=True)
    found = [(name, loss) for name, loss in named if isinstance(loss, Adversary)]
    if len(found) != 1:
        what = "none trains network_d: add {type: ganloss, loss_weight: 0.1}" if not found else "only one may"
        raise ConfigError(f"train.losses: {what}")
    return found[0]


def _named(measures: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return measures under their names in the log."""
    return {f"{OPPONENT}/{name}": value for name, value in measures.items()}
