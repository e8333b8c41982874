"""Networks, one family per file or folder."""

from traiNNer.registry import ARCHS
from traiNNer.utils.declarations import declared

ARCHS.offer(declared(__name__, __path__, "arch"))
