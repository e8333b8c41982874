"""What a training step computes, one kind per file."""

from traiNNer.registry import import_components

import_components(__name__, __path__)
