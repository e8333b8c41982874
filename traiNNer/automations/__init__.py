"""Automations that watch a run and move its knobs; one file each."""

from traiNNer.registry import AUTOMATIONS
from traiNNer.utils.declarations import declared

AUTOMATIONS.offer(declared(__name__, __path__, "AUTOMATIONS.register"))
