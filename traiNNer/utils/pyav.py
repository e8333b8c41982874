"""PyAV, an optional library that reads and writes films."""

from traiNNer.traits import Requirement

PYAV = Requirement("av", 'pip install "trainner-sr[video]", or pip install av')
