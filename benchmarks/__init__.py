"""Measurements that anyone can repeat; each file says how."""

import traiNNer  # noqa: F401 - before torch: it decides how threads wait
