"""Optimizers by name and learning-rate schedules as pure functions."""

from traiNNer.registry import import_components

import_components(__name__, __path__)
