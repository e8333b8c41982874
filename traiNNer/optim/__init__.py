"""Optimizers by name and learning-rate schedules as pure functions."""

from traiNNer.optim.names import REFUSED, torch_optimizers
from traiNNer.registry import OPTIMIZERS, SCHEDULES
from traiNNer.utils.declarations import declared

SCHEDULES.offer(declared(__name__, __path__, "SCHEDULES.register"))
OPTIMIZERS.offer(declared(__name__, __path__, "OPTIMIZERS.register"))
OPTIMIZERS.offer(dict.fromkeys(torch_optimizers(), f"{__name__}.optimizers"), hidden=REFUSED)
