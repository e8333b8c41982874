import pytest

from traiNNer.config.automation_options import OWN_SECTIONS, AutomationOptions
from traiNNer.config.choice import AutomationChoice

STOP, BALANCE = "IntelligentEarlyStopping", OWN_SECTIONS["dynamic_loss_scheduling"]


@pytest.mark.parametrize("master", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_master_switch_applies_to_automations_without_a_section(master, own):
    chosen = {name: AutomationChoice(type=name, enabled=own) for name in (STOP, BALANCE)}
    section = AutomationOptions(enabled=master, automations=chosen)
    assert set(section.active()) == ({BALANCE} | ({STOP} if master else set()) if own else set())
    assert set(section.disabled()) == ({STOP} if master and not own else set())
