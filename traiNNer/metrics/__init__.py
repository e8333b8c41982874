"""Image quality metrics, one per file."""

from traiNNer.registry import METRICS
from traiNNer.utils.declarations import declared

METRICS.offer(declared(__name__, __path__, "METRICS.register"))
