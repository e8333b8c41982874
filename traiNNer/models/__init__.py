"""What a training step computes, one kind per file."""

from traiNNer.registry import MODELS
from traiNNer.utils.declarations import declared

MODELS.offer(declared(__name__, __path__, "MODELS.register"))
