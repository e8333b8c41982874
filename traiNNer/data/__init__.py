"""Datasets, and the way of their samples to the training step."""

from traiNNer.registry import DATASETS
from traiNNer.utils.declarations import declared

DATASETS.offer(declared(__name__, __path__, "DATASETS.register"))
