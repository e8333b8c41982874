"""Losses, one idea per file."""

from traiNNer.registry import LOSSES
from traiNNer.utils.declarations import declared

LOSSES.offer(declared(__name__, __path__, "LOSSES.register"))
