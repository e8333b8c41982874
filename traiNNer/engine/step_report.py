"""What an iteration found, as scalars on the device."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from traiNNer.models.protocol import MAIN


@dataclass(frozen=True)
class Update:
    """What a step found for one learner, as scalars on the device.

    `terms` are the means of its loss terms, `grad_norm` the gradient norm before clipping, `applied` whether the
    update was made, and `norms` the gradient norm of every term by itself, only when that is measured. `measures` are
    further values for the log, by their names there.
    """

    terms: dict[str, Tensor]
    grad_norm: Tensor
    applied: Tensor
    norms: dict[str, Tensor] | None = None
    measures: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class StepReport:
    """What a step found: an update for every learner that had a phase, by name.

    `finite` is false when a loss term or a gradient is NaN or infinite: then no update is applied. An update may also
    be skipped for a gradient that exploded. `reference` is the loss of bicubic upscaling on the same images, only when
    it is measured; `images` has a row for each of them, only when what the network explains of them is noted.
    """

    updates: dict[str, Update]
    finite: Tensor
    reference: Tensor | None = None
    images: Tensor | None = None

    @property
    def main(self) -> Update | None:
        """The update of `net_g`; None in an iteration that trains other learners only."""
        return self.updates.get(MAIN)
