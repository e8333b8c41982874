"""Helpers that watch a run and move its knobs; one file each."""

from traiNNer.registry import import_components

import_components(__name__, __path__)
