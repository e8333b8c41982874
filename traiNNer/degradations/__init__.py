"""Degradations: how images from the real world were spoiled, one kind per file."""

from traiNNer.registry import DEGRADATIONS
from traiNNer.utils.declarations import declared

DEGRADATIONS.offer(declared(__name__, __path__, "DEGRADATIONS.register"))
