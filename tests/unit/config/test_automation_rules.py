import pytest

from traiNNer.config.automation_rules import OptionFacts, OptionProblem, OptionRules, check_order, rules_of
from traiNNer.registry import AUTOMATIONS, Registry, StrictOptions


class Bounds(StrictOptions):
    """Two bounds."""

    low: float | None = 2.0
    high: float | None = 5.0


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, []),
        ({"low": 5}, []),
        ({"low": 6}, [OptionProblem("low", "must be at most high, which is 5")]),
        ({"high": 1}, [OptionProblem("high", "must be at least low, which is 2")]),
        ({"low": 9, "high": 8}, [OptionProblem("high", "must be at least low, which is 9")]),
        ({"low": None, "high": 1}, []),
        ({"high": None}, []),
    ],
)
def test_bound_from_the_file_is_reported(given, found):
    assert list(check_order(Bounds.parse(given), "low", "high")) == found


def test_factory_without_option_rules_has_no_rules():
    class Own(OptionRules):
        def __init__(self) -> None: ...

    registry = Registry("automation", AUTOMATIONS.traits)
    registry.register(Own)
    registry.register(lambda: Own(), name="made")  # noqa: PLW0108 - a factory, not the class
    assert rules_of(registry["own"]) is Own
    assert rules_of(registry["made"]) is OptionRules
    assert list(OptionRules.check_options(Bounds(), OptionFacts(is_on=True))) == []
