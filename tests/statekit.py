"""The smallest training state that a store accepts."""

from typing import Any

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


def state_of(iteration: int) -> dict[str, Any]:
    """Return the smallest state of an iteration."""
    return {**STATE, "progress": {"iteration": iteration, "validated": 0}}
