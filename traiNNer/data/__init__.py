"""Datasets, and the way of their samples to the training step."""

from traiNNer.registry import import_components

import_components(__name__, __path__)
