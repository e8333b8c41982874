"""Reproducible measurements; each file documents its usage."""

import traiNNer  # noqa: F401 - before torch: it sets how threads wait
