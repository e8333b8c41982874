"""PyAV, an optional library that reads and writes films."""

from traiNNer.traits import Requirement

PYAV = Requirement("av", 'pip install "traiNNer[video]", or pip install av')
