"""The smallest training state that a store accepts."""

from traiNNer.engine.checkpoint.state import FORMAT

STREAM = {
    "training": {}, "libraries": {}, "plugins": {}, "order": [], "needs_length": False, "length": {}, "files": {},
    "scores": {}, "automations": {},
}  # fmt: skip
FACTS = {"identity": {}, "environment": {}, "stream": STREAM}
STATE = {
    "format": FORMAT, **FACTS,
    "progress": {"iteration": 1, "validated": 0},
    "window": {"count": 0, "sums": {}, "counts": {}}, "watch": {"streak": 0}, "rng": {"ranks": [{}]},
    **{name: {} for name in ("learners", "model", "snapshot", "best")},
}  # fmt: skip
