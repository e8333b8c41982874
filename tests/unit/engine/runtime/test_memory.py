import pytest

from traiNNer.engine.runtime.memory import Memory, fullest


@pytest.mark.parametrize("order", [1, -1])
def test_several_devices_are_as_full_as_the_fullest(order):
    ranks = [Memory(total=100, used=50, reserved=40, retries=3), Memory(total=80, used=60, reserved=30, retries=0)]
    assert fullest(ranks[::order]) == Memory(total=80, used=60, reserved=40, retries=3)
