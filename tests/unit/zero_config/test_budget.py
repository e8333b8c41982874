"""What a run within a time budget is trained with."""

import pytest

from traiNNer.engine.runtime.device import Device
from traiNNer.zero_config import budget

NANO = "paragonsr2_nano"


@pytest.mark.parametrize(
    ("kind", "budget_s", "arch"),
    [("cpu", 180, "compact"), ("cpu", 36_000, NANO), ("cuda", 180, NANO), ("cpu", None, NANO)],
)
def test_budget_and_machine_choose_the_network(monkeypatch, kind, budget_s, arch):
    monkeypatch.setattr(budget, "device", lambda: Device(kind, "", "", 1))
    network, why = budget.network_within(budget_s)
    assert network["type"] == arch
    assert bool(why) == (budget_s is not None)
